//! Moves values as sorting the groups of another tensor would move them, or back: the derivative of `group_sort`.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::sort::group_permute2;
use tslip_cpu::simd::Level;
use tslip_graph::{Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::{check, each_group, order, samples};
use crate::support::{need, operands};

/// `group_permute`: x and v of one shape to the same shape. In each group entry k of the result is v at the member of
/// rank k in x; with `inverse`, the member of rank k in x receives v at k.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        let attributes = json!(GroupPermute { inverse: !self.inverse, ..self.clone() });
        Ok(vec![None, Some(v.graph.emit("group_permute", &attributes, &[v.inputs[0], v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let flat = |a: &ArrayD<f64>| -> Vec<f64> { a.iter().copied().collect() };
        let mut y = vec![0.0; output.len()];
        self.permute(&output.shape, &flat(inputs[0]), &flat(inputs[1]), &mut y);
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

    fn cpu(&self, mut call: Call<'_>) {
        let (x, v, shape) = (call.inputs[0].f32(), call.inputs[1].f32(), call.output.shape);
        let y = call.output.f32();
        if self.group_size == 2 && self.axis + 1 == shape.len() {
            // A permutation of two is its own inverse.
            return group_permute2(Level::current(), x, v, y);
        }
        self.permute(shape, x, v, y);
    }
}

impl GroupPermute {
    fn permute<T: PartialOrd + Copy>(&self, shape: &[usize], x: &[T], v: &[T], y: &mut [T]) {
        let (mut members, mut ranks) = (Vec::new(), Vec::new());
        each_group(shape, self.axis, self.group_size, |start, stride| {
            members.clear();
            members.extend((0..self.group_size).map(|k| x[start + k * stride]));
            order(&members, &mut ranks);
            for (k, &member) in ranks.iter().enumerate() {
                let (to, from) = if self.inverse { (member, k) } else { (k, member) };
                y[start + to * stride] = v[start + from * stride];
            }
        });
    }
}
