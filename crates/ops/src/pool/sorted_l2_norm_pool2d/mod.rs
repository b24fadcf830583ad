//! GroupSort2 and the norm over windows in one pass: the sorted values are never stored.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::kernels::pool::sorted_norm;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, Measured, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::l2_norm_pool2d::L2NormPool2d;
use super::sorted::{channel_pairs, sorting};
use super::sorted_l2_norm_pool2d_grad::SortedL2NormPool2dGrad;
use super::{Window, samples};
use crate::pool::gpu;
use crate::support::operands;

/// `sorted_l2_norm_pool2d`: x `[n, h, w, c]` to `[n, oh, ow, c]`, what `l2_norm_pool2d` gives for x after `group_sort`
/// in pairs of channels, bit for bit. Channels are last and even in number.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SortedL2NormPool2d(pub Window);

impl Op for SortedL2NormPool2d {
    fn name(&self) -> &'static str {
        "sorted_l2_norm_pool2d"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        channel_pairs(&self.0, x)?;
        L2NormPool2d(self.0).infer(&[x])
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let operands = [v.inputs[0], v.output, v.cotangent];
        Ok(vec![Some(v.graph.emit(SortedL2NormPool2dGrad(self.0), &operands)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let x = inputs[0];
        let sorted = sorting().reference(&[x], &Spec::f32(x.shape()));
        L2NormPool2d(self.0).reference(&[&sorted], output)
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Function(Measured::Sqrt, 0.5)
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0];
        sorted_norm(Level::current(), &self.0.over(x.shape), x.f32(), call.output.f32());
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(gpu::norm(&self.0, &inputs[0].shape, output.len(), true))
    }

    fn flops(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        sorting().flops(inputs, inputs[0]) + L2NormPool2d(self.0).flops(inputs, output)
    }
}
