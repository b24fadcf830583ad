//! What all comparisons share; an op's own file holds the relation.
use ndarray::ArrayD;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::spec::broadcast;
use tslip_graph::{Accuracy, Arranged, Call, DType, Data, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::binary::{loops, reference};
use super::loops::Zip;
use crate::support::{elementwise_permuted, elementwise_samples, operands, parse_none, vectorized};

/// A relation between two elements of one type; false where one of them is NaN.
pub trait Relation: Debug + Send + Sync + 'static {
    /// Registered name.
    const NAME: &'static str;
    /// Its operator in WGSL.
    const WGSL: &'static str;
    /// Whether it holds.
    fn holds<T: PartialOrd>(a: T, b: T) -> bool;
}

/// The op of a [`Relation`]: two operands of one type, any of them, to bool.
#[derive(Debug)]
pub struct Compare<R>(PhantomData<R>);

impl<R: Relation> Compare<R> {
    /// The op, which has no attributes.
    pub const OP: Self = Compare(PhantomData);

    /// Makes it for the registry.
    pub fn make(attributes: &Value) -> Result<Arc<dyn Op>> {
        parse_none(attributes)?;
        Ok(Arc::new(Self::OP))
    }
}

impl<R: Relation> Op for Compare<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [a, b] = operands(inputs)?;
        if a.dtype != b.dtype {
            return Err(Error::dtype(format!(
                "operands are {} and {}, both must be of one type: use cast()",
                a.dtype, b.dtype
            )));
        }
        Ok(Spec::new(broadcast(&a.shape, &b.shape)?, DType::Bool))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None, None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        reference(inputs, output, |a, b| f64::from(u8::from(R::holds(a, b))))
    }

    fn elementwise(&self) -> bool {
        true
    }

    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        elementwise_samples(inputs, output)
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        elementwise_permuted(Arc::new(Self::OP), axes, inputs)
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let loops = loops(&call);
        let y = call.output.bytes();
        match (call.inputs[0].data, call.inputs[1].data) {
            (Data::F32(a), Data::F32(b)) => vectorized(Zip { loops, a, b, y, f: |a, b| u8::from(R::holds(a, b)) }),
            (Data::I32(a), Data::I32(b)) => vectorized(Zip { loops, a, b, y, f: |a, b| u8::from(R::holds(a, b)) }),
            (Data::U8(a), Data::U8(b)) | (Data::Bool(a), Data::Bool(b)) => {
                vectorized(Zip { loops, a, b, y, f: |a, b| u8::from(R::holds(a, b)) });
            }
            _ => unreachable!("shape inference has established that both operands have one type"),
        }
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let operator = R::WGSL;
        Ok(Form::elementwise(match inputs[0].dtype {
            DType::Bool => format!("u32($0) {operator} u32($1)"),
            _ => format!("$0 {operator} $1"),
        }))
    }
}

/// Cases with many ties, in all types.
#[cfg(test)]
pub(crate) fn cases<R: Relation>() -> Vec<crate::testing::case::Case> {
    use super::binary::cases_of;
    use crate::testing::case::{bools, case, integers, wild};
    let column = |mut input: crate::testing::case::Input| {
        input.spec.shape.push(1);
        input
    };
    let few = |dtype| move |shape: &[usize]| integers(shape, 0, 3).of(dtype);
    let mut all = vec![case(R::NAME, json!({}), [wild(), column(wild())])];
    all.extend(cases_of(R::NAME, few(DType::F32), few(DType::F32)));
    all.extend(cases_of(R::NAME, few(DType::I32), few(DType::I32)));
    all.push(case(R::NAME, json!({}), [few(DType::U8)(&[9, 4]), few(DType::U8)(&[4])]));
    all.push(case(R::NAME, json!({}), [bools(&[9, 4]), bools(&[9, 4])]));
    all.into_iter().map(|c| c.not_smooth()).collect()
}
