//! Sorts inside groups of consecutive entries along an axis: 1-Lipschitz, and its gradient is a permutation.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::sort::group_sort;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::group_permute::GroupPermute;
use super::{check, each_group, groups, in_order, samples};
use crate::support::{need, operands};

/// `group_sort`: same shape as x; ascending and stable in each group of `groupSize` along `axis`, NaN last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupSort {
    /// The axis that is cut into groups.
    pub axis: usize,
    /// Members of a group.
    pub group_size: usize,
}

impl Op for GroupSort {
    fn name(&self) -> &'static str {
        "group_sort"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        need(x, DType::F32)?;
        check(x, self.axis, self.group_size)?;
        Ok(x.clone())
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let back = GroupPermute { axis: self.axis, group_size: self.group_size, inverse: true };
        Ok(vec![Some(v.graph.emit(back, &[v.inputs[0], v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut y = x.clone();
        each_group(&output.shape, self.axis, self.group_size, |members| {
            members.iter().zip(in_order(&x, members)).for_each(|(&to, from)| y[to] = x[from]);
        });
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("same shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(self.axis, inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis)?;
        let op = Arc::new(GroupSort { axis, ..self.clone() });
        Some(Arranged { op, inputs: vec![Some(axes.to_vec())], output: Some(axes.to_vec()) })
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        groups(inputs[0], self.axis, self.group_size).scratch()
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let groups = groups(call.output.shape, self.axis, self.group_size);
        group_sort(Level::current(), &groups, call.inputs[0].f32(), call.output.f32(), call.scratch);
    }

    fn gpu(&self, _inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(super::kernel(output, self.axis, self.group_size, [0, 0], false))
    }
}
