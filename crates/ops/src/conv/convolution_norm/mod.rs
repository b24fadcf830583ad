//! The norm of a convolution on images of one size, differentiable in the weight.
use ndarray::{ArrayD, arr0};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::spectral::{Convolution, inner_product};
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::operator::{Operator, unit};
use crate::emit::Emit;
use crate::support::operands;

/// `convolution_norm`: w `[o, c / groups, kh, kw]` and its `convolution_top_vector` `[1, c, h, w]` to the norm, the length of the
/// vector. The derivative in w is u vᵀ, as the weight sees it, for unit vectors u along A v and v; v itself is where the norm is
/// stationary, and counts as a constant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConvolutionNorm(pub Operator);

impl Op for ConvolutionNorm {
    fn name(&self) -> &'static str {
        "convolution_norm"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [w, v] = operands(inputs)?;
        let image = Spec::f32(self.0.image(w)?);
        if *v != image {
            return Err(Error::shape(format!("the vector has shape {:?}, not {:?}", v.shape, image.shape)));
        }
        Ok(Spec::f32([]))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let Vjp { graph, inputs, cotangent, .. } = v;
        let (operator, w) = (&self.0, inputs[0]);
        let [vector, _] = unit(graph, inputs[1])?;
        let padded = operator.padded(graph, vector)?;
        let image = operator.windows(graph, padded, w)?;
        let [image, _] = unit(graph, image)?;
        let direction = operator.weight_grad(graph, padded, image, w)?;
        let direction = graph.scale(direction, Convolution::SAFETY)?;
        Ok(vec![Some(graph.mul(direction, cotangent)?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        arr0(inputs[1].iter().map(|v| v * v).sum::<f64>().sqrt()).into_dyn()
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let v = call.inputs[1].f32();
        call.output.f32()[0] = inner_product(v, v).sqrt() as f32;
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let kernel = Kernel::new("length of a vector", include_str!("length.wgsl"))
            .with(include_str!("../../spectral/gpu/sums.wgsl"))
            .with(tslip_graph::gpu::EXACT);
        let words = vec![Argument::size(inputs[1].len()), Argument::Input(1), Argument::Output];
        Ok(Form::Kernels(vec![kernel.launch(1, words)]))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        2 * inputs[1].iter().product::<usize>() as u64
    }
}
