//! An estimate of the largest singular value that is never low beyond rounding: a Schatten norm of high order.
mod from_gradient;

use std::sync::Arc;

use ndarray::{ArrayD, arr0};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::simd::Level;
use tslip_cpu::spectral;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, Fused, NodeId, Op, Operand, Result, Samples, Site, Spec, Vjp};

use super::spectral_norm_grad::SpectralNormGrad;
use super::{check, gpu, matrix, norm_products, samples, sibling, top_singular};
use crate::emit::Emit;
use from_gradient::NormFromGradient;

/// `spectral_norm`: w `[m, n]` to a scalar; 0 for a zero matrix.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralNorm {}

/// Beside the gradient, which needs the same powers, the norm is read off that.
pub fn from_gradient(site: &Site<'_>) -> Option<Fused> {
    site.op::<SpectralNorm>()?;
    let gradient = sibling(site.graph, &SpectralNormGrad {}, site.inputs)?;
    Some(Fused { op: Arc::new(NormFromGradient), inputs: vec![site.inputs[0], gradient] })
}

impl Op for SpectralNorm {
    fn name(&self) -> &'static str {
        "spectral_norm"
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        check::<1>(inputs).map(|_| Spec::f32([]))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let direction = v.graph.emit(SpectralNormGrad {}, &[v.inputs[0]])?;
        Ok(vec![Some(v.graph.mul(direction, v.cotangent)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        arr0(top_singular(&matrix(inputs[0])).0).into_dyn()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        spectral::spectral_norm_scratch(inputs[0][0], inputs[0][1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let w = call.inputs[0];
        let sigma = spectral::spectral_norm(Level::current(), w.f32(), w.shape[0], w.shape[1], call.scratch);
        call.output.f32()[0] = sigma;
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::norm(&inputs[0].shape))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        norm_products(1, inputs[0])
    }
}
