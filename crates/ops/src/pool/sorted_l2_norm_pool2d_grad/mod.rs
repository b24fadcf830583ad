//! The gradient of GroupSort2 and the norm over windows in one pass: values are sorted again in registers.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::kernels::pool::sorted_norm_grad;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, Measured, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::l2_norm_pool2d_grad::L2NormPool2dGrad;
use super::sorted::{channel_pairs, moving, moving_back, sorting};
use super::{Window, samples};
use crate::pool::gpu;
use crate::support::operands;

/// `sorted_l2_norm_pool2d_grad`: x `[n, h, w, c]` before it is sorted, y and its cotangent `[n, oh, ow, c]`, to the shape
/// of x: the gradient `l2_norm_pool2d_grad` gives for x after `group_sort` in pairs of channels, moved back by
/// `group_permute`, bit for bit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SortedL2NormPool2dGrad(pub Window);

impl Op for SortedL2NormPool2dGrad {
    fn name(&self) -> &'static str {
        "sorted_l2_norm_pool2d_grad"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, y, dy] = operands(inputs)?;
        channel_pairs(&self.0, x)?;
        L2NormPool2dGrad(self.0).infer(&[x, y, dy])
    }

    /// The order of a pair does not change where the gradient exists: that of the plain gradient, moved on both sides.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let Vjp { graph, inputs: &[x, y, dy], cotangent, .. } = v else {
            unreachable!("shape inference admits three operands")
        };
        let sorted = graph.emit(sorting(), &[x])?;
        let moved = graph.emit(moving(), &[x, cotangent])?;
        let plain = L2NormPool2dGrad(self.0);
        let operands = [sorted, y, dy];
        let output = graph.emit(plain.clone(), &operands)?;
        let mut all = plain.vjp(Vjp { graph, inputs: &operands, output, cotangent: moved })?;
        if let Some(of_x) = &mut all[0] {
            *of_x = graph.emit(moving_back(), &[x, *of_x])?;
        }
        Ok(all)
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let sorted = sorting().reference(&inputs[..1], output);
        let gradient = L2NormPool2dGrad(self.0).reference(&[&sorted, inputs[1], inputs[2]], output);
        moving_back().reference(&[inputs[0], &gradient], output)
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Function(Measured::Division, 0.5)
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (x, y, dy) = (call.inputs[0], call.inputs[1].f32(), call.inputs[2].f32());
        sorted_norm_grad(Level::current(), &self.0.over(x.shape), x.f32(), y, dy, call.output.f32());
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(gpu::norm_grad(&self.0, &inputs[0].shape, output.len(), true))
    }

    fn flops(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        2 * sorting().flops(&inputs[..1], output) + L2NormPool2dGrad(self.0).flops(inputs, output)
    }
}
