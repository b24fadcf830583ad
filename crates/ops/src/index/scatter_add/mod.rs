//! Adds rows to zeros at the positions that indices name: the derivative of `gather`.
use ndarray::{ArrayD, Dimension};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::gather::Gather;
use super::{Along, exact_position, gpu, position};
use crate::support::{need, operands};

/// `scatter_add`: v (f32, with the axes of the indices at `axis`) and indices (i32) to the shape of v with those axes
/// replaced by one of extent `size`. What an index outside of it names is dropped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScatterAdd {
    /// The axis of the result along which rows are added.
    pub axis: usize,
    /// Its extent.
    pub size: usize,
}

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [v, indices] = operands(inputs)?;
        need(v, DType::F32)?;
        need(indices, DType::I32)?;
        let end = self.axis.saturating_add(indices.rank());
        if v.shape.get(self.axis..end) != Some(&indices.shape[..]) {
            return Err(Error::shape(format!(
                "values of shape {:?} do not have the shape of the indices, {:?}, from axis {} on",
                v.shape, indices.shape, self.axis
            )));
        }
        Ok(Spec::f32([&v.shape[..self.axis], &[self.size], &v.shape[end..]].concat()))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.emit(Gather { axis: self.axis }, &[v.cotangent, v.inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let indices = inputs[1];
        let mut y = ArrayD::zeros(output.shape.clone());
        for (from, value) in inputs[0].indexed_iter() {
            let (lead, rest) = from.slice().split_at(self.axis);
            let (picked, trail) = rest.split_at(indices.ndim());
            if let Some(i) = exact_position(indices[picked], self.size) {
                y[[lead, &[i][..], trail].concat().as_slice()] += value;
            }
        }
        y
    }

    /// Along axis 0 each sample adds its own rows.
    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match (self.axis, inputs[1].spec.rank(), inputs[1].batched) {
            (0, 1.., _) => Samples::Sum { sliced: vec![true, true] },
            (1.., _, false) => Samples::PerSample { sliced: vec![true, false] },
            _ => Samples::Whole,
        }
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis).filter(|_| inputs[1].rank() == 1)?;
        let op = Arc::new(ScatterAdd { axis, size: self.size });
        Some(Arranged { op, inputs: vec![Some(axes.to_vec()), None], output: Some(axes.to_vec()) })
    }

    fn accumulates(&self) -> bool {
        self.axis == 0
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (v, indices) = (call.inputs[0].f32(), call.inputs[1].i32());
        let Along { outer, extent, inner } = Along::new(call.output.shape, self.axis);
        let y = call.output.f32();
        if !self.accumulates() {
            y.fill(0.0);
        }
        for block in 0..outer {
            for (k, &index) in indices.iter().enumerate() {
                if let Some(i) = position(index, extent) {
                    let row = &v[(block * indices.len() + k) * inner..][..inner];
                    let sums = &mut y[(block * extent + i) * inner..][..inner];
                    sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
            }
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let along = Along::new(&output.shape, self.axis);
        Ok(gpu::add_at(output, inputs[1].len(), along, false))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{SUMMED, case, integers, normal};
    let of = |axis: usize, size: usize, v: &[usize], indices: &[usize]| {
        let indices = integers(indices, -1, size as i64 + 1);
        case("scatter_add", json!({ "axis": axis, "size": size }), [normal(v), indices]).within(SUMMED)
    };
    vec![
        of(1, 4, &[4, 6, 3], &[6]),
        of(0, 3, &[6, 3], &[6]),
        of(0, 3, &[4, 2, 3], &[4, 2]),
        of(1, 3, &[4, 2, 5, 2], &[2, 5]),
        of(1, 3, &[4, 2], &[]),
        of(0, 3, &[4, 2], &[]),
        of(0, 0, &[4, 2], &[4]),
        of(1, 2, &[4, 0], &[0]),
    ]
}
