//! Moves values as sorting the groups of another tensor would move them, or back: the derivative of `group_sort`.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::sort::{Direction, group_permute};
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::{check, each_group, groups, in_order, samples};
use crate::support::{need, operands};

/// `group_permute`: x and v of one shape to the same shape. In each group entry k of the result is v at the member of
/// rank k in x; with `inverse`, the member of rank k in x receives v at k.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupPermute {
    /// The axis that is cut into groups.
    pub axis: usize,
    /// Members of a group.
    pub group_size: usize,
    /// Back from the sorted order.
    pub inverse: bool,
}

impl Op for GroupPermute {
    fn name(&self) -> &'static str {
        "group_permute"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, v] = operands(inputs)?;
        need(x, DType::F32)?;
        need(v, DType::F32)?;
        check(x, self.axis, self.group_size)?;
        if x.shape != v.shape {
            return Err(Error::shape("both operands must have one shape"));
        }
        Ok(v.clone())
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let back = GroupPermute { inverse: !self.inverse, ..self.clone() };
        Ok(vec![None, Some(v.graph.emit(back, &[v.inputs[0], v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let [x, v] = [0, 1].map(|i| inputs[i].iter().copied().collect::<Vec<f64>>());
        let mut y = vec![0.0; output.len()];
        each_group(&output.shape, self.axis, self.group_size, |members| {
            for (&place, member) in members.iter().zip(in_order(&x, members)) {
                let (to, from) = if self.inverse { (member, place) } else { (place, member) };
                y[to] = v[from];
            }
        });
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("same shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(self.axis, inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis)?;
        let op = Arc::new(GroupPermute { axis, ..self.clone() });
        Some(Arranged { op, inputs: vec![Some(axes.to_vec()); 2], output: Some(axes.to_vec()) })
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        groups(inputs[0], self.axis, self.group_size).scratch()
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let groups = groups(call.output.shape, self.axis, self.group_size);
        let direction = if self.inverse { Direction::Back } else { Direction::Sorting };
        let (x, v, y) = (call.inputs[0].f32(), call.inputs[1].f32(), call.output.f32());
        group_permute(Level::current(), &groups, direction, x, v, y, call.scratch);
    }

    fn gpu(&self, _inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(super::kernel(output, self.axis, self.group_size, [0, 1], self.inverse))
    }
}
