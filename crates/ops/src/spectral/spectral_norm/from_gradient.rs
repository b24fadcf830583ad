//! The spectral norm in a plan that also wants its gradient.
use ndarray::{ArrayD, arr0};
use serde_json::{Value, json};
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::spectral::{check, gpu, put_in_place, samples};

/// w and the gradient of its norm, both `[m, n]`, to the norm <gradient, w>: Euler's theorem for functions that scale as
/// their argument does. Only [`super::SpectralNorm`] makes it.
#[derive(Clone, Debug)]
pub struct NormFromGradient;

impl Op for NormFromGradient {
    fn name(&self) -> &'static str {
        "spectral_norm_from_gradient"
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        check::<2>(inputs).map(|_| Spec::f32([]))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Err(put_in_place(self.name()))
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        arr0(inputs[0].iter().zip(inputs[1]).map(|(w, d)| w * d).sum()).into_dyn()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (w, gradient) = (call.inputs[0].f32(), call.inputs[1].f32());
        call.output.f32()[0] = tslip_cpu::spectral::inner_product(w, gradient) as f32;
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::norm_from_gradient(&inputs[0].shape))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        2 * inputs[0].iter().product::<usize>() as u64
    }
}
