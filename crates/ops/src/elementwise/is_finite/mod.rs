//! Whether a float is a number.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, DType, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::elementwise::loops::Each;
use crate::support::{elementwise_permuted, elementwise_samples, need, operands, vectorized};

/// `is_finite`: false where x is NaN or infinite.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsFinite {}

impl Op for IsFinite {
    fn name(&self) -> &'static str {
        "is_finite"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        need(x, DType::F32)?;
        Ok(Spec::new(x.shape.clone(), DType::Bool))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].mapv(|x| f64::from(u8::from(x.is_finite())))
    }

    fn elementwise(&self) -> bool {
        true
    }

    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        elementwise_samples(inputs, output)
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        elementwise_permuted(Arc::new(self.clone()), axes, inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        vectorized(Each { x: call.inputs[0].f32(), y: call.output.bytes(), f: |x: f32| u8::from(x.is_finite()) });
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::elementwise("is_finite($0)"))
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, normal, wild};
    [wild(), normal(&[]), normal(&[4, 3, 2]), normal(&[0])]
        .map(|x| case("is_finite", json!({}), [x]).not_smooth())
        .to_vec()
}
