//! What all f32 functions of one operand share; an op's own file holds the formula and its derivative.
use ndarray::ArrayD;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use tslip_graph::gpu::{self, Form};
use tslip_graph::{Accuracy, Arranged, Call, DType, Graph, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::loops::Each;
use crate::support::{elementwise_permuted, elementwise_samples, need, operands, parse_none, vectorized};

/// A function of one float.
pub trait Function: Debug + Send + Sync + 'static {
    /// Registered name.
    const NAME: &'static str;
    /// The definition.
    fn f64(x: f64) -> f64;
    /// What the kernel computes.
    fn f32(x: f32) -> f32;
    /// How exact that is.
    const ACCURACY: Accuracy;
    /// The same in WGSL, for a GPU: an expression in `$0`.
    const WGSL: &'static str;
    /// The functions that the expression calls.
    const FUNCTIONS: &'static [&'static str] = &[];
    /// The cotangent of x, given those nodes; `None` where the derivative is zero almost everywhere.
    fn vjp(graph: &mut Graph, x: NodeId, y: NodeId, dy: NodeId) -> Result<Option<NodeId>>;
}

/// The op of a [`Function`].
#[derive(Debug)]
pub struct Unary<F>(PhantomData<F>);

impl<F: Function> Unary<F> {
    /// The op, which has no attributes.
    pub const OP: Self = Unary(PhantomData);

    /// Makes it for the registry.
    pub fn make(attributes: &Value) -> Result<Arc<dyn Op>> {
        parse_none(attributes)?;
        Ok(Arc::new(Self::OP))
    }
}

impl<F: Function> Op for Unary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        need(x, DType::F32)?;
        Ok(x.clone())
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![F::vjp(v.graph, v.inputs[0], v.output, v.cotangent)?])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].mapv(F::f64)
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
        F::ACCURACY
    }

    fn cpu(&self, mut call: Call<'_>) {
        vectorized(Each { x: call.inputs[0].f32(), y: call.output.f32(), f: |x| F::f32(x) });
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::Elementwise { functions: F::FUNCTIONS.to_vec(), ..gpu::Elementwise::of(F::WGSL) }.form())
    }
}

/// Cases of a function that is smooth between `low` and `high`.
#[cfg(test)]
pub(crate) fn cases<F: Function>(low: f64, high: f64) -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, uniform, wild};
    let shapes: [&[usize]; 6] = [&[], &[1], &[37], &[5, 3], &[2, 3, 2, 3], &[0, 3]];
    let mut all: Vec<_> = shapes.iter().map(|s| case(F::NAME, json!({}), [uniform(s, low, high)])).collect();
    all.push(case(F::NAME, json!({}), [wild()]).not_smooth());
    all
}
