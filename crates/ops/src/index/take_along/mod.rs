//! Picks single elements along an axis, each line of the tensor by its own indices (numpy.take_along_axis).
// Circle: each is the derivative of the other.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::put_along_add::PutAlongAdd;
use super::{Along, exact_position, gpu, position};
use crate::shape::{check_axis, follow, moved};
use crate::support::{need, operands};

/// `take_along`: x (any type) and indices (i32) whose shapes differ at most along `axis`, to the shape of the indices.
/// An index outside the axis gives 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TakeAlong {
    /// The axis along which elements are picked.
    pub axis: usize,
}

impl Op for TakeAlong {
    fn name(&self) -> &'static str {
        "take_along"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, indices] = operands(inputs)?;
        check_axis(self.axis, &x.shape)?;
        need(indices, DType::I32)?;
        let fits = |i: usize| i == self.axis || x.shape[i] == indices.shape[i];
        if x.rank() != indices.rank() || !(0..x.rank()).all(fits) {
            return Err(Error::shape(format!(
                "indices of shape {:?} do not go along axis {} of shape {:?}: all other extents must be equal",
                indices.shape, self.axis, x.shape
            )));
        }
        Ok(Spec::new(indices.shape.clone(), x.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let op = PutAlongAdd { axis: self.axis, size: v.graph.shape(v.inputs[0])[self.axis] };
        Ok(vec![Some(v.graph.emit(op, &[v.cotangent, v.inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let (x, indices) = (inputs[0], inputs[1]);
        ArrayD::from_shape_fn(indices.raw_dim(), |to| {
            let mut from = to.clone();
            match exact_position(indices[to], x.shape()[self.axis]) {
                Some(i) => {
                    from[self.axis] = i;
                    x[from]
                }
                None => 0.0,
            }
        })
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axis {
            0 => Samples::Whole,
            _ => Samples::PerSample { sliced: vec![true, true] },
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis)?;
        Some(follow(Arc::new(TakeAlong { axis }), 2, axes))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        let (x, indices) = (call.inputs[0], call.inputs[1]);
        let (from, to) = (Along::new(x.shape, self.axis), Along::new(indices.shape, self.axis));
        moved!(x.data, call.output.data, |x, y| take(from, to.extent, x, indices.i32(), y));
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let along = Along::new(&inputs[0].shape, self.axis);
        Ok(gpu::pick(output, output.shape[self.axis], along, true))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

fn take<T: Copy + Default>(along: Along, taken: usize, x: &[T], indices: &[i32], y: &mut [T]) {
    let Along { extent, inner, .. } = along;
    if y.is_empty() {
        return;
    }
    let blocks = y.chunks_exact_mut(taken * inner).zip(indices.chunks_exact(taken * inner));
    for (block, (y, indices)) in blocks.enumerate() {
        let x = &x[block * extent * inner..][..extent * inner];
        for (y, indices) in y.chunks_exact_mut(inner).zip(indices.chunks_exact(inner)) {
            for (at, (y, &index)) in y.iter_mut().zip(indices).enumerate() {
                *y = position(index, extent).map(|i| x[i * inner + at]).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal};
    let of = |axis: usize, x: &[usize], taken: usize| {
        let mut shape = x.to_vec();
        shape[axis] = taken;
        let indices = integers(&shape, -1, x[axis] as i64 + 1);
        case("take_along", json!({ "axis": axis }), [normal(x), indices])
    };
    vec![
        of(1, &[4, 5, 3], 2),
        of(2, &[4, 2, 3], 7),
        of(0, &[4, 3], 6),
        of(0, &[5], 3),
        of(1, &[4, 0], 2),
        of(1, &[4, 3], 0),
        case("take_along", json!({ "axis": 1 }), [integers(&[4, 3], -9, 9), integers(&[4, 2], 0, 3)]).not_smooth(),
    ]
}
