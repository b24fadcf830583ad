//! What all arithmetic of two operands shares; an op's own file holds the formula and its derivatives.
use ndarray::{ArrayD, Zip as ArrayZip};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use tslip_graph::gpu::{Elementwise, Form};
use tslip_graph::spec::broadcast;
use tslip_graph::{
    Accuracy, Arranged, Call, DType, Data, DataMut, Error, Graph, NodeId, Op, Operand, Result, Samples, Spec, Vjp,
};

use super::loops::{Loops, Zip};
use crate::emit::Emit;
use crate::support::{elementwise_permuted, elementwise_samples, operands, parse_none, vectorized};

/// A function of two numbers.
pub trait Arithmetic: Debug + Send + Sync + 'static {
    /// Registered name.
    const NAME: &'static str;
    /// The same for integers, if it is defined for them; it wraps around.
    const I32: Option<fn(i32, i32) -> i32> = None;
    /// The definition.
    fn f64(a: f64, b: f64) -> f64;
    /// What the kernel computes.
    fn f32(a: f32, b: f32) -> f32;
    /// How exact that is.
    const ACCURACY: Accuracy;
    /// The same in WGSL, for a GPU: an expression in `$0` and `$1`.
    const WGSL: &'static str;
    /// The expression for integers, where it is another.
    const WGSL_I32: &'static str = Self::WGSL;
    /// The functions that the expression calls.
    const FUNCTIONS: &'static [&'static str] = &[];
    /// The cotangents of a and b, both still of the shape of y.
    fn vjp(graph: &mut Graph, operands: [NodeId; 2], y: NodeId, dy: NodeId) -> Result<[NodeId; 2]>;
}

/// The op of an [`Arithmetic`] function.
#[derive(Debug)]
pub struct Binary<F>(PhantomData<F>);

impl<F: Arithmetic> Binary<F> {
    /// The op, which has no attributes.
    pub const OP: Self = Binary(PhantomData);

    /// Makes it for the registry.
    pub fn make(attributes: &Value) -> Result<Arc<dyn Op>> {
        parse_none(attributes)?;
        Ok(Arc::new(Self::OP))
    }
}

impl<F: Arithmetic> Op for Binary<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn attributes(&self) -> Value {
        json!({})
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [a, b] = operands(inputs)?;
        match (a.dtype, b.dtype) {
            (DType::F32, DType::F32) => {}
            (DType::I32, DType::I32) if F::I32.is_some() => {}
            (x, y) => {
                let wanted = if F::I32.is_some() { "f32 or both i32" } else { "f32" };
                return Err(Error::dtype(format!("operands are {x} and {y}, both must be {wanted}: use cast()")));
            }
        }
        Ok(Spec::new(broadcast(&a.shape, &b.shape)?, a.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let ab = [v.inputs[0], v.inputs[1]];
        let parts = F::vjp(v.graph, ab, v.output, v.cotangent)?;
        ab.into_iter()
            .zip(parts)
            .map(|(input, part)| {
                let shape = v.graph.shape(input).to_vec();
                v.graph.sum_to(part, &shape).map(Some)
            })
            .collect()
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        reference(inputs, output, F::f64)
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
        let loops = loops(&call);
        match (call.inputs[0].data, call.inputs[1].data, &mut call.output.data, F::I32) {
            (Data::F32(a), Data::F32(b), DataMut::F32(y), _) => {
                vectorized(Zip { loops, a, b, y, f: |a, b| F::f32(a, b) });
            }
            (Data::I32(a), Data::I32(b), DataMut::I32(y), Some(f)) => vectorized(Zip { loops, a, b, y, f }),
            _ => unreachable!("shape inference admits f32 and, where it is defined, i32"),
        }
    }

    fn gpu(&self, _inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let expression = if output.dtype == DType::I32 { F::WGSL_I32 } else { F::WGSL };
        Ok(Elementwise { functions: F::FUNCTIONS.to_vec(), ..Elementwise::of(expression) }.form())
    }
}

/// The loops of a kernel with two operands.
pub(crate) fn loops(call: &Call<'_>) -> Loops<2> {
    Loops::new(call.output.shape, [call.inputs[0].shape, call.inputs[1].shape])
}

/// `f` on every pair of broadcast elements.
pub fn reference(inputs: &[&ArrayD<f64>], output: &Spec, f: impl Fn(f64, f64) -> f64) -> ArrayD<f64> {
    let wide = |x: &ArrayD<f64>| match x.broadcast(output.shape.as_slice()) {
        Some(view) => view.to_owned(),
        None => unreachable!("shape inference has established that the shapes broadcast"),
    };
    ArrayZip::from(&wide(inputs[0])).and(&wide(inputs[1])).map_collect(|&a, &b| f(a, b))
}

/// Cases on every form of broadcasting, with operands from `left` and `right`.
#[cfg(test)]
pub(crate) fn cases_of(
    name: &'static str,
    left: impl Fn(&[usize]) -> crate::testing::case::Input,
    right: impl Fn(&[usize]) -> crate::testing::case::Input,
) -> Vec<crate::testing::case::Case> {
    let shapes: [(&[usize], &[usize]); 15] = [
        (&[], &[]),
        (&[37], &[37]),
        (&[5, 7], &[]),
        (&[], &[5, 7]),
        (&[5, 7], &[1, 1]),
        (&[4, 3, 2, 5], &[5]),
        (&[4, 3, 2, 5], &[1, 3, 1, 1]),
        (&[3, 1, 1], &[4, 3, 2, 5]),
        (&[4, 3, 2, 5], &[4, 1, 1, 1]),
        (&[4, 3, 2, 5], &[4, 3, 2, 5]),
        (&[4, 3, 2, 5], &[2, 1]),
        (&[4, 1, 3], &[1, 5, 1]),
        (&[6], &[4, 1]),
        (&[1, 6], &[4, 6]),
        (&[0, 3], &[3]),
    ];
    shapes.iter().map(|(a, b)| crate::testing::case::case(name, json!({}), [left(a), right(b)])).collect()
}

/// Cases of an arithmetic op: floats on which it is smooth, integers where they are allowed, and the wild ones.
#[cfg(test)]
pub(crate) fn cases<F: Arithmetic>(low: f64, high: f64) -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, uniform, wild};
    let floats = |shape: &[usize]| uniform(shape, low, high);
    let mut all = cases_of(F::NAME, floats, floats);
    let column = |mut input: crate::testing::case::Input| {
        input.spec.shape.push(1);
        input
    };
    all.push(case(F::NAME, json!({}), [wild(), column(wild())]).not_smooth());
    if F::I32.is_some() {
        let whole = |shape: &[usize]| integers(shape, -9, 10);
        all.extend(cases_of(F::NAME, whole, whole).into_iter().map(|c| c.not_smooth()));
    }
    all
}
