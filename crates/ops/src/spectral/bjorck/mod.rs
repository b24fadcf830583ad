//! Björck orthonormalization (Björck and Bowie 1971): all singular values in (0, sqrt 3) go to 1.
// Circle: one is the derivative of the other, which computes with its attributes.
mod tape;

use std::sync::Arc;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::simd::Level;
use tslip_cpu::spectral;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, Error, Fused, NodeId, Op, Operand, Result, Samples, Site, Spec, Vjp};

use super::bjorck_grad::BjorckGrad;
use super::{bjorck_products, check, gpu, matrix, samples, sibling};
use tape::{BjorckFromTape, BjorckGradFromTape, BjorckTape};

/// Second derivatives have nodes for each iteration.
const MOST_ITERATIONS: usize = 1000;

/// `bjorck`: w `[m, n]` to `[m, n]`, `iterations` times W <- (1 + beta) W - beta W Wᵀ W.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bjorck {
    /// How many iterations; all of them are differentiated.
    pub iterations: usize,
    /// Step size, 0 < beta <= 0.5.
    pub beta: f64,
}

impl Bjorck {
    /// Refuses step sizes for which the iteration does not converge, and iterations beyond any use.
    pub fn check(&self) -> Result<()> {
        if !(self.beta > 0.0 && self.beta <= 0.5) {
            return Err(Error::argument(format!("beta must be in (0, 0.5], not {}", self.beta)));
        }
        if self.iterations > MOST_ITERATIONS {
            let given = self.iterations;
            return Err(Error::argument(format!("{given} iterations are too many: use at most {MOST_ITERATIONS}")));
        }
        Ok(())
    }
}

/// Beside a gradient, which leaves a tape, the value is the end of that tape.
pub fn from_tape(site: &Site<'_>) -> Option<Fused> {
    let tape = sibling(site.graph, &BjorckTape(site.op::<Bjorck>()?.clone()), site.inputs)?;
    let [rows, columns] = site.graph.shape(site.inputs[0]) else { return None };
    Some(Fused { op: Arc::new(BjorckFromTape([*rows, *columns])), inputs: vec![tape] })
}

impl Op for Bjorck {
    fn name(&self) -> &'static str {
        "bjorck"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        self.check()?;
        check::<1>(inputs)
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (w, tape) = (v.inputs[0], BjorckTape(self.clone()));
        if !tape.pays(v.graph.shape(w)) {
            return Ok(vec![Some(v.graph.emit(BjorckGrad(self.clone()), &[w, v.cotangent])?)]);
        }
        let tape = v.graph.emit(tape, &[w])?;
        Ok(vec![Some(v.graph.emit(BjorckGradFromTape(self.clone()), &[w, tape, v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let mut w = matrix(inputs[0]);
        for _ in 0..self.iterations {
            w = (1.0 + self.beta) * &w - self.beta * w.dot(&w.t()).dot(&w);
        }
        w.into_dyn()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        spectral::bjorck_scratch(inputs[0][0], inputs[0][1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let w = call.inputs[0];
        let (m, n) = (w.shape[0], w.shape[1]);
        let out = call.output.f32();
        spectral::bjorck(Level::current(), w.f32(), m, n, self.iterations, self.beta as f32, out, call.scratch);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::value(self, &inputs[0].shape, false))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        bjorck_products(self.iterations, inputs[0])
    }
}
