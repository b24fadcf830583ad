//! Adds single elements to zeros along an axis: the derivative of `take_along`.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::take_along::TakeAlong;
use super::{Along, exact_position, gpu, position};
use crate::shape::{check_axis, follow};
use crate::support::{need, operands};

/// `put_along_add`: v (f32) and indices (i32) of one shape to that shape with extent `size` at `axis`. What an index
/// outside of it names is dropped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutAlongAdd {
    /// The axis along which elements are added.
    pub axis: usize,
    /// Its extent in the result.
    pub size: usize,
}

impl Op for PutAlongAdd {
    fn name(&self) -> &'static str {
        "put_along_add"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [v, indices] = operands(inputs)?;
        check_axis(self.axis, &v.shape)?;
        need(v, DType::F32)?;
        need(indices, DType::I32)?;
        if v.shape != indices.shape {
            return Err(Error::shape(format!(
                "values of shape {:?} and indices of shape {:?} must have one shape",
                v.shape, indices.shape
            )));
        }
        let mut shape = v.shape.clone();
        shape[self.axis] = self.size;
        Ok(Spec::f32(shape))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.emit(TakeAlong { axis: self.axis }, &[v.cotangent, v.inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let mut y = ArrayD::zeros(output.shape.clone());
        for (mut at, value) in inputs[0].indexed_iter() {
            if let Some(i) = exact_position(inputs[1][&at], self.size) {
                at[self.axis] = i;
                y[at] += value;
            }
        }
        y
    }

    /// Along axis 0 each sample adds its own elements.
    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axis {
            0 => Samples::Sum { sliced: vec![true, true] },
            _ => Samples::PerSample { sliced: vec![true, true] },
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis)?;
        Some(follow(Arc::new(PutAlongAdd { axis, size: self.size }), 2, axes))
    }

    fn accumulates(&self) -> bool {
        self.axis == 0
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (v, indices) = (call.inputs[0].f32(), call.inputs[1].i32());
        let put = Along::new(call.inputs[0].shape, self.axis);
        let extent = call.output.shape[self.axis];
        let y = call.output.f32();
        if !self.accumulates() {
            y.fill(0.0);
        }
        let Along { extent: count, inner, .. } = put;
        if v.is_empty() {
            return;
        }
        let blocks = v.chunks_exact(count * inner).zip(indices.chunks_exact(count * inner));
        for (block, (v, indices)) in blocks.enumerate() {
            let y = &mut y[block * extent * inner..][..extent * inner];
            for (v, indices) in v.chunks_exact(inner).zip(indices.chunks_exact(inner)) {
                for (at, (v, &index)) in v.iter().zip(indices).enumerate() {
                    if let Some(i) = position(index, extent) {
                        y[i * inner + at] += v;
                    }
                }
            }
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let along = Along::new(&output.shape, self.axis);
        Ok(gpu::add_at(output, inputs[1].shape[self.axis], along, true))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{SUMMED, case, integers, normal};
    let of = |axis: usize, size: usize, v: &[usize]| {
        let indices = integers(v, -1, size as i64 + 1);
        case("put_along_add", json!({ "axis": axis, "size": size }), [normal(v), indices]).within(SUMMED)
    };
    vec![
        of(1, 3, &[4, 5, 3]),
        of(2, 4, &[4, 2, 3]),
        of(0, 3, &[6, 3]),
        of(0, 4, &[5]),
        of(1, 0, &[4, 2]),
        of(1, 2, &[4, 0]),
    ]
}
