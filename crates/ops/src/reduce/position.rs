//! What argmax and argmin share: the position of the element that wins along an axis.
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::marker::PhantomData;
use std::sync::Arc;
use tslip_graph::arrange::inverse;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, DType, Data, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::axes::Axes;
use super::extremum::{Extremum, stays};
use crate::support::operands;

/// The op that gives, as i32, the position along an axis of the element that wins: of equals the first, and the first
/// NaN if there is one. The axis is removed.
#[derive(Debug)]
pub struct Position<E> {
    axis: usize,
    order: PhantomData<E>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    axis: usize,
}

impl<E: Extremum> Position<E> {
    /// Makes the op from `axis`.
    pub fn make(attributes: &Value) -> Result<Arc<dyn Op>> {
        let Attributes { axis } =
            serde_json::from_value(attributes.clone()).map_err(|e| Error::argument(format!("bad attributes: {e}")))?;
        Ok(Arc::new(Self::of(axis)))
    }

    /// The op for this axis.
    pub fn of(axis: usize) -> Self {
        Position { axis, order: PhantomData }
    }

    fn axes(&self) -> Axes {
        Axes { axes: vec![self.axis], keepdims: false }
    }

    fn fill<T: PartialOrd + Copy>(&self, shape: &[usize], x: &[T], y: &mut [i32]) {
        let inner: usize = shape[self.axis + 1..].iter().product();
        if y.is_empty() {
            return;
        }
        if inner == 1 {
            for (x, y) in x.chunks_exact(shape[self.axis]).zip(y) {
                let first = (0, x[0]);
                let met = x.iter().copied().enumerate().skip(1);
                *y = met.fold(first, |best, next| if stays::<E, T>(best.1, next.1) { best } else { next }).0 as i32;
            }
            return;
        }
        y.fill(0);
        for (x, y) in x.chunks_exact(inner * shape[self.axis]).zip(y.chunks_exact_mut(inner)) {
            for (at, row) in x.chunks_exact(inner).enumerate().skip(1) {
                for (i, (best, &here)) in y.iter_mut().zip(row).enumerate() {
                    if !stays::<E, T>(x[*best as usize * inner + i], here) {
                        *best = at as i32;
                    }
                }
            }
        }
    }
}

impl<E: Extremum> Op for Position<E> {
    fn name(&self) -> &'static str {
        E::POSITION
    }

    fn attributes(&self) -> Value {
        json!(Attributes { axis: self.axis })
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        self.axes().check(&x.shape)?;
        if !matches!(x.dtype, DType::F32 | DType::I32) {
            return Err(Error::dtype(format!("the operand is {}, f32 or i32 is needed: use cast(\"f32\")", x.dtype)));
        }
        if x.shape[self.axis] == 0 {
            return Err(Error::shape(format!("axis {} has extent 0: no position exists along it", self.axis)));
        }
        Ok(Spec::new(self.axes().output(&x.shape), DType::I32))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].map_axis(Axis(self.axis), |lane| {
            (1..lane.len()).fold(0, |best, at| if stays::<E, f64>(lane[best], lane[at]) { best } else { at }) as f64
        })
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axis {
            0 => Samples::Whole,
            _ => Samples::PerSample { sliced: vec![true] },
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        Some(self.axes().permuted(axes, |_| Arc::new(Self::of(inverse(axes)[self.axis]))))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0];
        match x.data {
            Data::F32(data) => self.fill(x.shape, data, call.output.i32()),
            Data::I32(data) => self.fill(x.shape, data, call.output.i32()),
            _ => unreachable!("shape inference admits f32 and i32"),
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let shape = &inputs[0].shape;
        let inner: usize = shape[self.axis + 1..].iter().product();
        let mut words: Vec<Argument> = [output.len(), shape[self.axis], inner].map(Argument::size).to_vec();
        words.extend([Argument::Input(0), Argument::Output]);
        let kernel = Kernel::new("position", include_str!("position.wgsl"))
            .constant("LARGEST", u32::from(E::beats(1.0, 0.0)))
            .constant("INTEGER", u32::from(inputs[0].dtype == DType::I32));
        Ok(Form::Kernels(vec![kernel.over(output.len(), words)]))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}

/// Cases on all axes, with ties and NaN.
#[cfg(test)]
pub(crate) fn cases<E: Extremum>() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal, wild};
    let shapes: [&[usize]; 6] = [&[1], &[37], &[5, 7], &[4, 3, 2, 5], &[6, 1, 3], &[3, 0]];
    let each = shapes.iter().flat_map(|s| (0..s.len()).filter(|&a| s[a] > 0).map(|axis| (*s, json!({ "axis": axis }))));
    let each: Vec<_> = each.collect();
    let mut all: Vec<_> = each.iter().map(|(s, a)| case(E::POSITION, a.clone(), [normal(s)])).collect();
    all.extend(each.iter().map(|(s, a)| case(E::POSITION, a.clone(), [integers(s, 0, 3)])));
    all.push(case(E::POSITION, json!({ "axis": 0 }), [wild()]));
    all.into_iter().map(|c| c.not_smooth()).collect()
}
