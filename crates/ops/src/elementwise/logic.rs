//! What the connectives of two booleans share; an op's own file holds the truth table.
use ndarray::ArrayD;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::spec::broadcast;
use tslip_graph::{Accuracy, Arranged, Call, DType, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::binary::{loops, reference};
use super::loops::Zip;
use crate::support::{elementwise_permuted, elementwise_samples, need, operands, parse_none, vectorized};

/// A truth table of two booleans.
pub trait Table: Debug + Send + Sync + 'static {
    /// Registered name.
    const NAME: &'static str;
    /// Its operator in WGSL.
    const WGSL: &'static str;
    /// The bytes 0 and 1 to 0 or 1.
    fn bytes(a: u8, b: u8) -> u8;
}

/// The op of a [`Table`].
#[derive(Debug)]
pub struct Connective<T>(PhantomData<T>);

impl<T: Table> Connective<T> {
    /// The op, which has no attributes.
    pub const OP: Self = Connective(PhantomData);

    /// Makes it for the registry.
    pub fn make(attributes: &Value) -> Result<Arc<dyn Op>> {
        parse_none(attributes)?;
        Ok(Arc::new(Self::OP))
    }
}

impl<T: Table> Op for Connective<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [a, b] = operands(inputs)?;
        need(a, DType::Bool)?;
        need(b, DType::Bool)?;
        Ok(Spec::new(broadcast(&a.shape, &b.shape)?, DType::Bool))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None, None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        reference(inputs, output, |a, b| f64::from(T::bytes(u8::from(a != 0.0), u8::from(b != 0.0))))
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
        let (a, b) = (call.inputs[0].bytes(), call.inputs[1].bytes());
        vectorized(Zip { loops, a, b, y: call.output.bytes(), f: |a, b| T::bytes(a, b) });
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::elementwise(format!("$0 {} $1", T::WGSL)))
    }
}

/// Cases on every form of broadcasting.
#[cfg(test)]
pub(crate) fn cases<T: Table>() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::bools;
    super::binary::cases_of(T::NAME, bools, bools).into_iter().map(|c| c.not_smooth()).collect()
}
