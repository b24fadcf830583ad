//! The order of the elements along an axis.
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::sync::Arc;
use tslip_cpu::kernels::sort::keys;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, DType, Data, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::Along;
use crate::shape::{check_axis, follow};
use crate::support::operands;

/// `argsort`: x (f32, i32 or u8) to i32 of the same shape: entry k along `axis` is the position of the k-th element.
/// Equal elements keep their order, and NaN comes last, ascending and descending.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Argsort {
    /// The axis that is sorted.
    pub axis: usize,
    /// Largest first.
    pub descending: bool,
}

impl Op for Argsort {
    fn name(&self) -> &'static str {
        "argsort"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        check_axis(self.axis, &x.shape)?;
        if x.dtype == DType::Bool {
            return Err(Error::dtype("booleans have no order: cast them to u8 first"));
        }
        if i32::try_from(x.shape[self.axis]).is_err() {
            let n = x.shape[self.axis];
            return Err(Error::shape(format!("axis {} of extent {n} has positions beyond i32", self.axis)));
        }
        Ok(Spec::new(x.shape.clone(), DType::I32))
    }

    fn vjp(&self, _v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let mut y = inputs[0].clone();
        for mut line in y.lanes_mut(Axis(self.axis)) {
            let values = line.to_vec();
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| self.compare(values[a], values[b]));
            line.iter_mut().zip(order).for_each(|(y, at)| *y = at as f64);
        }
        y
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axis {
            0 => Samples::Whole,
            _ => Samples::PerSample { sliced: vec![true] },
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis)?;
        Some(follow(Arc::new(Argsort { axis, descending: self.descending }), 1, axes))
    }

    /// The keys of one line.
    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        keys::scratch(inputs[0][self.axis])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0];
        let along = Along::new(x.shape, self.axis);
        let keys = keys::Keys::new(call.scratch, along.extent);
        let y = call.output.i32();
        // Integers with signs order as unsigned ones do once the sign is turned round; !r is the other way round.
        match (x.data, self.descending) {
            (Data::F32(x), false) => sort(along, x, keys, keys::ascending, y),
            (Data::F32(x), true) => sort(along, x, keys, keys::descending, y),
            (Data::I32(x), false) => sort(along, x, keys, |v| v as u32 ^ 1 << 31, y),
            (Data::I32(x), true) => sort(along, x, keys, |v| !(v as u32 ^ 1 << 31), y),
            (_, false) => sort(along, x.bytes(), keys, u32::from, y),
            (_, true) => sort(along, x.bytes(), keys, |v| !u32::from(v), y),
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let Along { extent, inner, .. } = Along::new(&output.shape, self.axis);
        let mut words: Vec<Argument> = [output.len(), extent, inner].map(Argument::size).to_vec();
        words.extend([Argument::Input(0), Argument::Output]);
        let kernel = Kernel::new("argsort", include_str!("argsort.wgsl"))
            .constant("FLOAT", u32::from(inputs[0].dtype == DType::F32))
            .constant("DESCENDING", u32::from(self.descending));
        Ok(Form::Kernels(vec![kernel.over(output.len(), words)]))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl Argsort {
    /// The order of the definition.
    fn compare(&self, a: f64, b: f64) -> Ordering {
        match a.partial_cmp(&b) {
            Some(order) if self.descending => order.reverse(),
            Some(order) => order,
            None => a.is_nan().cmp(&b.is_nan()),
        }
    }
}

/// Sorts line after line by the rank of each value.
fn sort<T: Copy>(along: Along, x: &[T], mut keys: keys::Keys<'_>, rank: impl Fn(T) -> u32, y: &mut [i32]) {
    let Along { outer, extent, inner } = along;
    for first in (0..outer).flat_map(|block| (0..inner).map(move |i| block * extent * inner + i)) {
        keys.sort((0..extent).map(|k| rank(x[first + k * inner])));
        for (k, at) in keys.positions().enumerate() {
            y[first + k * inner] = at as i32;
        }
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{Input, case, integers, normal, wild};
    let of = |axis: usize, descending: bool, x: Input| {
        case("argsort", json!({ "axis": axis, "descending": descending }), [x]).not_smooth()
    };
    let each = |descending: bool| {
        [
            of(1, descending, normal(&[4, 9])),
            of(1, descending, integers(&[4, 70, 3], -3, 3).of(DType::F32)),
            of(0, descending, normal(&[5, 2])),
            of(1, descending, integers(&[4, 8], -2, 3)),
            of(2, descending, integers(&[2, 3, 8], 0, 4).of(DType::U8)),
            of(0, descending, wild()),
            of(1, descending, normal(&[3, 0])),
        ]
    };
    [each(false), each(true)].concat()
}
