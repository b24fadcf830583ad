//! Björck orthonormalization in a plan that also wants its gradient: what that can use of the value is kept for it. A GPU keeps all small
//! matrices of a small weight, the CPU two of any.
//!
//! These ops are only ever made by [`super::Bjorck`]: its derivative asks for the tape, and a value beside it is read from
//! there.
use ndarray::{Array1, ArrayD};
use serde_json::{Value, json};
use tslip_cpu::simd::Level;
use tslip_cpu::spectral;
use tslip_graph::gpu::{Form, Rearrange};
use tslip_graph::{Accuracy, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::Bjorck;
use crate::spectral::bjorck_grad::BjorckGrad;
use crate::spectral::curvature::of_bjorck_grad;
use crate::spectral::{bjorck_products, check, gpu, gradient_products, put_in_place, samples};
use crate::support::operands;

/// Longer tapes of a GPU are not kept: the gradient then computes the value again, in working memory that all weights share.
const MOST_BYTES: usize = 64 << 20;

/// w `[m, n]` to the value, row-major, and after it what the gradient needs of how it was made.
#[derive(Clone, Debug)]
pub struct BjorckTape(pub Bjorck);

impl BjorckTape {
    /// Whether the tape of a weight of this shape is worth its memory.
    pub fn pays(&self, shape: &[usize]) -> bool {
        4 * gpu::tape_length(&self.0, shape) <= MOST_BYTES
    }

    fn length(&self, shape: &[usize]) -> usize {
        let kept = spectral::bjorck_kept_length(shape[0], shape[1]);
        shape[0] * shape[1] + kept.max(gpu::tape_length(&self.0, shape))
    }
}

impl Op for BjorckTape {
    fn name(&self) -> &'static str {
        "bjorck_tape"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let w = check::<1>(inputs)?;
        Ok(Spec::f32([self.length(&w.shape)]))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Err(put_in_place(self.name()))
    }

    /// The value; what follows is the kernel's own affair.
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let value = self.0.reference(inputs, output);
        let padded = value.into_iter().chain(std::iter::repeat(0.0)).take(output.len());
        Array1::from_iter(padded).into_dyn()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        spectral::bjorck_kept_scratch(inputs[0][0], inputs[0][1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let w = call.inputs[0];
        let (m, n, beta) = (w.shape[0], w.shape[1], self.0.beta as f32);
        let (value, kept) = call.output.f32().split_at_mut(m * n);
        let iterations = self.0.iterations;
        spectral::bjorck_kept(Level::current(), w.f32(), m, n, iterations, beta, value, kept, call.scratch);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::value(&self.0, &inputs[0].shape, true))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        bjorck_products(self.0.iterations, inputs[0])
    }
}

/// The tape to the value, of this shape.
#[derive(Clone, Debug)]
pub struct BjorckFromTape(pub [usize; 2]);

impl Op for BjorckFromTape {
    fn name(&self) -> &'static str {
        "bjorck_from_tape"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        operands::<1>(inputs).map(|_| Spec::f32(self.0))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Err(put_in_place(self.name()))
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let value = inputs[0].iter().copied().take(output.len()).collect();
        ArrayD::from_shape_vec(output.shape.clone(), value).unwrap_or_else(|e| unreachable!("the tape is longer: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let value = call.output.f32();
        value.copy_from_slice(&call.inputs[0].f32()[..value.len()]);
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::View(Rearrange::Start))
    }
}

/// w `[m, n]`, the tape and the cotangent of the value `[m, n]` to the gradient `[m, n]`.
#[derive(Clone, Debug)]
pub struct BjorckGradFromTape(pub Bjorck);

impl Op for BjorckGradFromTape {
    fn name(&self) -> &'static str {
        "bjorck_grad_from_tape"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        operands::<3>(inputs).and_then(|[w, _, d]| check::<2>(&[w, d]))
    }

    /// The tape is a function of w, and counts as such.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let [of_w, of_d] = of_bjorck_grad(v.graph, &self.0, [v.inputs[0], v.inputs[2], v.cotangent])?;
        Ok(vec![of_w, None, of_d])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        BjorckGrad(self.0.clone()).reference(&[inputs[0], inputs[2]], output)
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        spectral::bjorck_grad_from_kept_scratch(inputs[0][0], inputs[0][1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (w, tape, d) = (call.inputs[0], call.inputs[1], call.inputs[2]);
        let (m, n, beta) = (w.shape[0], w.shape[1], self.0.beta as f32);
        let (value, kept) = tape.f32().split_at(m * n);
        let (level, iterations, dw) = (Level::current(), self.0.iterations, call.output.f32());
        let (w, d) = (w.f32(), d.f32());
        spectral::bjorck_grad_from_kept(level, w, m, n, iterations, beta, value, kept, d, dw, call.scratch);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::gradient_from_tape(&self.0, &inputs[0].shape))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        gradient_products(self.0.iterations, inputs[0])
    }
}
