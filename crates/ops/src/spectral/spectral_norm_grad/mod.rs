//! The gradient of the spectral norm: u vᵀ, or its mean over the dominant singular vectors where several tie.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::simd::Level;
use tslip_cpu::spectral;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::curvature::of_norm_grad;
use super::{check, gpu, matrix, norm_products, samples, top_singular};

/// `spectral_norm_grad`: w `[m, n]` to `[m, n]`; zero for a zero matrix.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralNormGrad {}

impl Op for SpectralNormGrad {
    fn name(&self) -> &'static str {
        "spectral_norm_grad"
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        check::<1>(inputs)
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(of_norm_grad(v.graph, v.inputs[0], v.output, v.cotangent)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        top_singular(&matrix(inputs[0])).1.into_dyn()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        spectral::spectral_norm_grad_scratch(inputs[0][0], inputs[0][1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let w = call.inputs[0];
        let dw = call.output.f32();
        spectral::spectral_norm_grad(Level::current(), w.f32(), w.shape[0], w.shape[1], dw, call.scratch);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::norm_grad(&inputs[0].shape))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        norm_products(2, inputs[0])
    }
}
