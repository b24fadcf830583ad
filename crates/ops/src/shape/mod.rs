//! Ops that move elements and compute nothing: the same values in another shape, order or extent.
pub mod padding;
pub mod strided;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use tslip_graph::{Arranged, Error, Op, Result};

use crate::group::group;
use crate::support::parse;

group! {
    broadcast_to: "broadcast_to" => parse::<broadcast_to::BroadcastTo>,
    concat: "concat" => parse::<concat::Concat>,
    pad: "pad" => parse::<pad::Pad>,
    pad_grad: "pad_grad" => parse::<pad_grad::PadGrad>,
    permute: "permute" => parse::<permute::Permute>,
    reshape: "reshape" => parse::<reshape::Reshape>,
    slice: "slice" => parse::<slice::Slice>,
}

/// Runs `$body` with the elements of a `Data` and a `DataMut` of one type, whichever it is.
macro_rules! moved {
    ($x:expr, $y:expr, |$a:ident, $b:ident| $body:expr) => {
        match ($x, $y) {
            (tslip_graph::Data::F32($a), tslip_graph::DataMut::F32($b)) => $body,
            (tslip_graph::Data::I32($a), tslip_graph::DataMut::I32($b)) => $body,
            (tslip_graph::Data::U8($a), tslip_graph::DataMut::U8($b))
            | (tslip_graph::Data::Bool($a), tslip_graph::DataMut::Bool($b)) => $body,
            _ => unreachable!("shape inference has given the output the type of its operand"),
        }
    };
}
pub(crate) use moved;

/// Refuses an axis that does not exist.
pub(crate) fn check_axis(axis: usize, shape: &[usize]) -> Result<()> {
    if axis < shape.len() {
        return Ok(());
    }
    Err(Error::argument(format!(
        "axis {axis} does not exist in shape {shape:?}: axes are numbered from 0 to the rank minus 1"
    )))
}

/// Refuses a list of attributes that has not one entry for each axis.
pub(crate) fn check_per_axis(name: &str, list: &[usize], shape: &[usize]) -> Result<()> {
    if list.len() == shape.len() {
        return Ok(());
    }
    let (got, rank) = (list.len(), shape.len());
    Err(Error::argument(format!("{name} has {got} entries for shape {shape:?}: give {rank}, one for each axis")))
}

/// The entries of `list` in the order of permuted axes.
pub(crate) fn reorder(list: &[usize], axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|&a| list[a]).collect()
}

/// An op whose `inputs` operands and result all have their axes permuted by `axes`.
pub(crate) fn follow(op: Arc<dyn Op>, inputs: usize, axes: &[usize]) -> Arranged {
    Arranged { op, inputs: vec![Some(axes.to_vec()); inputs], output: Some(axes.to_vec()) }
}
