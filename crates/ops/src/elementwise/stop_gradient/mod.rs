//! x as a constant of differentiation.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, Data, DataMut, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::support::{elementwise_permuted, elementwise_samples, operands};

/// `stop_gradient`: x of any type, through which no gradient flows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopGradient {}

impl Op for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        Ok(x.clone())
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].clone()
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

    fn cpu(&self, call: Call<'_>) {
        match (call.inputs[0].data, call.output.data) {
            (Data::F32(x), DataMut::F32(y)) => y.copy_from_slice(x),
            (Data::I32(x), DataMut::I32(y)) => y.copy_from_slice(x),
            (Data::U8(x), DataMut::U8(y)) | (Data::Bool(x), DataMut::Bool(y)) => y.copy_from_slice(x),
            _ => unreachable!("the output has the type of its operand"),
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::elementwise("$0"))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{bools, case, integers, normal, wild};
    [wild(), normal(&[]), normal(&[4, 3, 2]), integers(&[5, 2], -9, 9), bools(&[7]), normal(&[0, 2])]
        .map(|x| case("stop_gradient", json!({}), [x]).not_smooth())
        .to_vec()
}
