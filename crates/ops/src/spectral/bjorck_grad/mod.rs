//! The adjoint of Björck orthonormalization through every iteration.
use ndarray::{Array2, ArrayD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::simd::Level;
use tslip_cpu::spectral;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::bjorck::Bjorck;
use super::curvature::of_bjorck_grad;
use super::{check, gpu, gradient_products, matrix, samples};

/// `bjorck_grad`: w and the cotangent of the orthonormalized weight, both `[m, n]`, to `[m, n]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BjorckGrad(pub Bjorck);

impl Op for BjorckGrad {
    fn name(&self) -> &'static str {
        "bjorck_grad"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        self.0.check()?;
        let w = check::<2>(inputs)?;
        // That of a GPU has less than four matrices of the weight's size for each iteration, and twenty more.
        Spec::f32([4 * self.0.iterations + 20, w.shape[0], w.shape[1]]).check()?;
        Ok(w)
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(of_bjorck_grad(v.graph, &self.0, [v.inputs[0], v.inputs[1], v.cotangent])?.into())
    }

    /// For Y = (1 + b) W - b W Wᵀ W: dW = (1 + b) dY - b (dY Wᵀ W + W dYᵀ W + W Wᵀ dY).
    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let beta = self.0.beta;
        let mut path: Vec<Array2<f64>> = vec![matrix(inputs[0])];
        for _ in 1..self.0.iterations {
            let w = &path[path.len() - 1];
            path.push((1.0 + beta) * w - beta * w.dot(&w.t()).dot(w));
        }
        let mut d = matrix(inputs[1]);
        for w in path.iter().rev().take(self.0.iterations) {
            let parts = d.dot(&w.t()).dot(w) + w.dot(&d.t()).dot(w) + w.dot(&w.t()).dot(&d);
            d = (1.0 + beta) * &d - beta * parts;
        }
        d.into_dyn()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        spectral::bjorck_grad_scratch(inputs[0][0], inputs[0][1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (w, d) = (call.inputs[0], call.inputs[1]);
        let (m, n, beta) = (w.shape[0], w.shape[1], self.0.beta as f32);
        let dw = call.output.f32();
        spectral::bjorck_grad(Level::current(), w.f32(), m, n, self.0.iterations, beta, d.f32(), dw, call.scratch);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::gradient(&self.0, &inputs[0].shape))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        gradient_products(self.0.iterations, inputs[0])
    }
}
