//! Chooses between two operands, element by element.
use ndarray::{ArrayD, Zip};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::spec::broadcast;
use tslip_graph::{
    Accuracy, Arranged, Call, DType, Data, DataMut, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp,
};

use crate::elementwise::loops::{Loops, Select};
use crate::emit::Emit;
use crate::support::{elementwise_permuted, elementwise_samples, need, operands, vectorized};

/// `where`: a where the first operand, a bool, is true, b elsewhere; a and b of one type, with broadcasting. What is not
/// chosen gets a gradient of exactly 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {}

impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [condition, a, b] = operands(inputs)?;
        need(condition, DType::Bool)?;
        if a.dtype != b.dtype {
            return Err(Error::dtype(format!(
                "the operands to choose from are {} and {}, both must be of one type: use cast()",
                a.dtype, b.dtype
            )));
        }
        Ok(Spec::new(broadcast(&condition.shape, &broadcast(&a.shape, &b.shape)?)?, a.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (condition, zero) = (v.inputs[0], v.graph.scalar(0.0)?);
        let (a, b) = (v.graph.shape(v.inputs[1]).to_vec(), v.graph.shape(v.inputs[2]).to_vec());
        let (da, db) = (v.graph.select(condition, v.cotangent, zero)?, v.graph.select(condition, zero, v.cotangent)?);
        Ok(vec![None, Some(v.graph.sum_to(da, &a)?), Some(v.graph.sum_to(db, &b)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let wide = |x: &ArrayD<f64>| match x.broadcast(output.shape.as_slice()) {
            Some(view) => view.to_owned(),
            None => unreachable!("shape inference has established that the shapes broadcast"),
        };
        let choose = |&c: &f64, &a: &f64, &b: &f64| if c != 0.0 { a } else { b };
        Zip::from(&wide(inputs[0])).and(&wide(inputs[1])).and(&wide(inputs[2])).map_collect(choose)
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
        let [c, a, b] = [call.inputs[0], call.inputs[1], call.inputs[2]];
        let loops = Loops::new(call.output.shape, [c.shape, a.shape, b.shape]);
        let condition = c.bytes();
        match (a.data, b.data, call.output.data) {
            (Data::F32(a), Data::F32(b), DataMut::F32(y)) => vectorized(Select { loops, condition, a, b, y }),
            (Data::I32(a), Data::I32(b), DataMut::I32(y)) => vectorized(Select { loops, condition, a, b, y }),
            (Data::U8(a), Data::U8(b), DataMut::U8(y)) | (Data::Bool(a), Data::Bool(b), DataMut::Bool(y)) => {
                vectorized(Select { loops, condition, a, b, y });
            }
            _ => unreachable!("shape inference has given both operands and the output one type"),
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::elementwise("select($2, $1, $0)"))
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{bools, case, integers, normal, wild};
    let shapes: [[&[usize]; 3]; 9] = [
        [&[], &[], &[]],
        [&[37], &[37], &[37]],
        [&[5, 7], &[5, 7], &[]],
        [&[5, 7], &[], &[5, 7]],
        [&[5, 7], &[], &[1]],
        [&[5, 1], &[5, 7], &[7]],
        [&[], &[4, 3], &[4, 1]],
        [&[4, 3, 2, 5], &[1, 3, 1, 1], &[4, 3, 2, 5]],
        [&[0, 3], &[3], &[]],
    ];
    let mut all: Vec<_> =
        shapes.iter().map(|[c, a, b]| case("where", json!({}), [bools(c), normal(a), normal(b)])).collect();
    all.push(case("where", json!({}), [bools(&[13]), wild(), normal(&[13])]).not_smooth());
    all.push(case("where", json!({}), [bools(&[6]), integers(&[6], -9, 9), integers(&[], 0, 9)]).not_smooth());
    all.push(case("where", json!({}), [bools(&[6]), bools(&[6]), bools(&[6])]).not_smooth());
    all
}
