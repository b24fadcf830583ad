//! 1 - beta^t, by which Adam divides its averages (Kingma and Ba 2015, algorithm 1).
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Elementwise, Form};
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::elementwise::{EXACT, MATH};
use crate::emit::Emit;
use crate::support::{elementwise_permuted, elementwise_samples, need, operands};

/// `bias_correction`: the count t of steps to 1 - beta^t, computed in f64, where f32 would lose the difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BiasCorrection {
    /// Decay of the average, 0 <= beta < 1.
    pub beta: f64,
}

impl BiasCorrection {
    fn at(&self, t: f64) -> f64 {
        1.0 - self.beta.powf(t)
    }
}

impl Op for BiasCorrection {
    fn name(&self) -> &'static str {
        "bias_correction"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [t] = operands(inputs)?;
        need(t, DType::F32)?;
        if !(0.0..1.0).contains(&self.beta) {
            return Err(Error::argument(format!("beta must be at least 0 and less than 1, not {}", self.beta)));
        }
        Ok(t.clone())
    }

    /// d(1 - beta^t)/dt = -beta^t log beta = (y - 1) log beta; for beta = 0 the result does not depend on t > 0.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        if self.beta == 0.0 {
            return Ok(vec![None]);
        }
        let one = v.graph.scalar(1.0)?;
        let power = v.graph.sub(v.output, one)?;
        let slope = v.graph.scale(power, self.beta.ln())?;
        Ok(vec![Some(v.graph.mul(v.cotangent, slope)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].mapv(|t| self.at(t))
    }

    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        elementwise_samples(inputs, output)
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        elementwise_permuted(Arc::new(self.clone()), axes, inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        for (y, &t) in call.output.f32().iter_mut().zip(call.inputs[0].f32()) {
            *y = self.at(f64::from(t)) as f32;
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        if self.beta == 0.0 {
            return Ok(Form::elementwise("select(1.0, 0.0, $0 == 0.0)"));
        }
        // The rate in two floats, so that their product with a count has more digits than one float.
        let rate = self.beta.ln();
        let high = rate as f32;
        let low = (rate - f64::from(high)) as f32;
        let function = Elementwise::of("tslip_bias_correction($0, bitcast<f32>($w0), bitcast<f32>($w1))");
        Ok(function.calls(EXACT).calls(MATH).word(high.to_bits()).word(low.to_bits()).form())
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, values};
    let many = values(&[5], &[1.0, 2.0, 7.0, 1000.0, 1e6]);
    let betas = [0.9, 0.999, 0.5].map(|beta| case("bias_correction", json!({ "beta": beta }), [many.clone()]));
    let one = case("bias_correction", json!({ "beta": 0.999999 }), [values(&[], &[1.0])]);
    let zero = case("bias_correction", json!({ "beta": 0 }), [values(&[], &[3.0])]);
    betas.into_iter().chain([one, zero]).collect()
}
