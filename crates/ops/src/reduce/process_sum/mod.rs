//! The sum of x over all processes that take a step together.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{
    Accuracy, Arranged, Call, DType, Data, DataMut, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp,
};

use crate::support::{elementwise_permuted, operands};

/// `process_sum`: x (f32), added up over processes; x itself where there is one. The loss that is differentiated is the sum of
/// those of all processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSum {}

impl Op for ProcessSum {
    fn name(&self) -> &'static str {
        "process_sum"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        match x.dtype {
            DType::F32 => Ok(x.clone()),
            other => Err(Error::dtype(format!("sums over processes are of f32, not {other}; cast it first"))),
        }
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.emit(self.clone(), &[v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].clone()
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn sums_processes(&self) -> bool {
        true
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        elementwise_permuted(Arc::new(self.clone()), axes, inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, call: Call<'_>) {
        match (call.inputs[0].data, call.output.data) {
            (Data::F32(x), DataMut::F32(y)) => y.copy_from_slice(x),
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
    use crate::testing::case::{case, normal, wild};
    let of = |x| case("process_sum", json!({}), [x]);
    vec![of(wild()).not_smooth(), of(normal(&[])), of(normal(&[4, 3, 2])), of(normal(&[0, 2]))]
}
