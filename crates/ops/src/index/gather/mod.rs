//! Picks rows along an axis by index.
// Circle: each is the derivative of the other.
use ndarray::{ArrayD, Dimension};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::scatter_add::ScatterAdd;
use super::{Along, exact_position, gpu, position};
use crate::shape::{check_axis, moved};
use crate::support::{need, operands};

/// `gather`: x (any type) and indices (i32, any shape) to the shape of x with `axis` replaced by the shape of the
/// indices. An index outside the axis gives zeros.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gather {
    /// The axis of x along which rows are picked.
    pub axis: usize,
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, indices] = operands(inputs)?;
        check_axis(self.axis, &x.shape)?;
        need(indices, DType::I32)?;
        let shape = [&x.shape[..self.axis], &indices.shape, &x.shape[self.axis + 1..]].concat();
        Ok(Spec::new(shape, x.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let op = ScatterAdd { axis: self.axis, size: v.graph.shape(v.inputs[0])[self.axis] };
        Ok(vec![Some(v.graph.emit(op, &[v.cotangent, v.inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let (x, indices, axis) = (inputs[0], inputs[1], self.axis);
        ArrayD::from_shape_fn(output.shape.clone(), |to| {
            let (lead, rest) = to.slice().split_at(axis);
            let (picked, trail) = rest.split_at(indices.ndim());
            match exact_position(indices[picked], x.shape()[axis]) {
                Some(i) => x[[lead, &[i][..], trail].concat().as_slice()],
                None => 0.0,
            }
        })
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match (inputs[0].batched, inputs[1].batched) {
            (true, false) if self.axis > 0 => Samples::PerSample { sliced: vec![true, false] },
            (false, true) if self.axis == 0 => Samples::PerSample { sliced: vec![false, true] },
            _ => Samples::Whole,
        }
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        // With indices of one axis the result has the axes of x.
        let axis = axes.iter().position(|&a| a == self.axis).filter(|_| inputs[1].rank() == 1)?;
        let inputs = vec![Some(axes.to_vec()), None];
        Some(Arranged { op: Arc::new(Gather { axis }), inputs, output: Some(axes.to_vec()) })
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        let (x, indices) = (call.inputs[0], call.inputs[1].i32());
        let along = Along::new(x.shape, self.axis);
        moved!(x.data, call.output.data, |x, y| pick(along, x, indices, y));
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let along = Along::new(&inputs[0].shape, self.axis);
        Ok(gpu::pick(output, inputs[1].len(), along, false))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

fn pick<T: Copy + Default>(along: Along, x: &[T], indices: &[i32], y: &mut [T]) {
    let Along { outer, extent, inner } = along;
    for block in 0..outer {
        for (k, &index) in indices.iter().enumerate() {
            let row = &mut y[(block * indices.len() + k) * inner..][..inner];
            match position(index, extent) {
                Some(i) => row.copy_from_slice(&x[(block * extent + i) * inner..][..inner]),
                None => row.fill(T::default()),
            }
        }
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal};
    let of = |axis: usize, x: &[usize], indices: &[usize]| {
        // Positions just outside the axis are tried as well.
        let indices = integers(indices, -1, x[axis] as i64 + 1);
        case("gather", json!({ "axis": axis }), [normal(x), indices])
    };
    vec![
        of(1, &[4, 5, 3], &[6]),
        of(0, &[5, 3], &[4]),
        of(0, &[5, 3], &[4, 2]),
        of(1, &[2, 5, 3], &[2, 4]),
        of(2, &[3, 2, 4], &[]),
        of(0, &[0, 3], &[4]),
        of(1, &[4, 3], &[0]),
        case("gather", json!({ "axis": 1 }), [integers(&[4, 3], -9, 9), integers(&[2], 0, 3)]).not_smooth(),
    ]
}
