//! What the largest and the smallest element share: which of two wins, and the reduction by it.
// Circle: the derivative of an extremum asks for its position, and a position is that of an extremum.
use ndarray::{ArrayD, Axis};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;
use tslip_graph::arrange::inverse;
use tslip_graph::gpu::Form;
use tslip_graph::{
    Accuracy, Arranged, Call, DType, Data, DataMut, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp,
};

use super::axes::{Axes, Run};
use super::gpu;
use super::position::Position;
use crate::emit::Emit;
use crate::index::put_along_add::PutAlongAdd;
use crate::support::{Work, operands, vectorized};

/// An order in which one of two elements wins.
pub trait Extremum: Debug + Send + Sync + 'static {
    /// Name of the op that gives the element that wins.
    const NAME: &'static str;
    /// Name of the op that gives its position.
    const POSITION: &'static str;
    /// Whether `a` comes strictly before `b`; false where one is NaN.
    fn beats<T: PartialOrd>(a: T, b: T) -> bool;
}

/// Whether `a`, met first, stays against `b`: NaN wins, and of equals the first.
#[inline(always)]
#[allow(clippy::eq_op)] // Only NaN differs from itself.
pub(crate) fn stays<E: Extremum, T: PartialOrd + Copy>(a: T, b: T) -> bool {
    (a != a) | !(E::beats(b, a) | (b != b))
}

/// The op that reduces axes to the element that wins. A tie's gradient goes to the first.
#[derive(Debug)]
pub struct Reduce<E> {
    axes: Axes,
    order: PhantomData<E>,
}

impl<E: Extremum> Reduce<E> {
    /// Makes the op from `axes` and `keepdims`.
    pub fn make(attributes: &Value) -> Result<Arc<dyn Op>> {
        let axes =
            serde_json::from_value(attributes.clone()).map_err(|e| Error::argument(format!("bad attributes: {e}")))?;
        Ok(Arc::new(Self::of(axes)))
    }

    fn of(axes: Axes) -> Self {
        Reduce { axes, order: PhantomData }
    }
}

impl<E: Extremum> Op for Reduce<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn attributes(&self) -> Value {
        json!(self.axes)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        self.axes.check(&x.shape)?;
        if !matches!(x.dtype, DType::F32 | DType::I32) {
            return Err(Error::dtype(format!("the operand is {}, f32 or i32 is needed: use cast(\"f32\")", x.dtype)));
        }
        if self.axes.axes.iter().any(|&a| x.shape[a] == 0) {
            return Err(Error::shape(format!("of no elements there is no {}: an axis reduced has extent 0", E::NAME)));
        }
        Ok(Spec::new(self.axes.output(&x.shape), x.dtype))
    }

    /// The reduced axes become one, last; the cotangent goes to the winner's position along it.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (g, x) = (v.graph, v.inputs[0]);
        let shape = g.shape(x).to_vec();
        let (kept, reduced): (Vec<usize>, Vec<usize>) = (0..shape.len()).partition(|i| !self.axes.axes.contains(i));
        let order: Vec<usize> = kept.iter().chain(&reduced).copied().collect();
        let last = kept.len();
        let size: usize = reduced.iter().map(|&i| shape[i]).product();
        let extents = |axes: &[usize], last: &[usize]| -> Vec<usize> {
            axes.iter().map(|&i| shape[i]).chain(last.iter().copied()).collect()
        };
        let moved = g.permute(x, &order)?;
        let joined = g.reshape(moved, &extents(&kept, &[size]))?;
        let position = g.emit(Position::<E>::of(last), &[joined])?;
        let position = g.reshape(position, &extents(&kept, &[1]))?;
        let cotangent = g.reshape(v.cotangent, &extents(&kept, &[1]))?;
        let put = g.emit(PutAlongAdd { axis: last, size }, &[cotangent, position])?;
        let split = g.reshape(put, &extents(&order, &[]))?;
        Ok(vec![Some(g.permute(split, &inverse(&order))?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let mut axes = self.axes.axes.clone();
        axes.sort_unstable();
        let winner = |lane: ndarray::ArrayView1<'_, f64>| {
            lane.iter().copied().reduce(|a, b| if stays::<E, f64>(a, b) { a } else { b }).unwrap_or(f64::NAN)
        };
        let y = axes.iter().rev().fold(inputs[0].clone(), |x, &axis| x.map_axis(Axis(axis), winner));
        y.into_shape_with_order(output.shape.clone()).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axes.axes.contains(&0) {
            true => Samples::Whole,
            false => Samples::PerSample { sliced: vec![true] },
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        Some(self.axes.permuted(axes, |moved| Arc::new(Self::of(moved))))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        let runs = self.axes.runs(call.inputs[0].shape);
        let order = self.order;
        match (call.inputs[0].data, call.output.data) {
            (Data::F32(x), DataMut::F32(y)) => vectorized(Winners { runs: &runs, x, y, order }),
            (Data::I32(x), DataMut::I32(y)) => vectorized(Winners { runs: &runs, x, y, order }),
            _ => unreachable!("shape inference admits f32 and i32"),
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let operation = if E::beats(1.0, 0.0) { gpu::Operation::Max } else { gpu::Operation::Min };
        Ok(gpu::form(operation, &self.axes, inputs[0], output))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}

struct Winners<'a, E, T> {
    runs: &'a [Run],
    x: &'a [T],
    y: &'a mut [T],
    order: PhantomData<E>,
}

impl<E: Extremum, T: PartialOrd + Copy> Work for Winners<'_, E, T> {
    #[inline(always)]
    fn run(self) {
        let Winners { runs, x, y, .. } = self;
        if y.is_empty() {
            return;
        }
        match runs {
            [Run { count, reduced: true }, inner @ ..] if !inner.is_empty() || *count > 0 => {
                reduce::<E, T>(runs, x, y);
            }
            [Run { count, reduced: false }, inner @ ..] => {
                for (x, y) in x.chunks_exact(x.len() / count).zip(y.chunks_exact_mut(y.len() / count)) {
                    reduce::<E, T>(inner, x, y);
                }
            }
            _ => y[0] = x[0],
        }
    }
}

/// Writes the winners of runs of which the first is reduced.
#[inline(always)]
fn reduce<E: Extremum, T: PartialOrd + Copy>(runs: &[Run], x: &[T], y: &mut [T]) {
    match runs {
        [] => y[0] = x[0],
        [_] => y[0] = winner::<E, T>(x),
        [_, Run { reduced: false, .. }] => {
            let (first, rest) = x.split_at(y.len());
            y.copy_from_slice(first);
            rest.chunks_exact(y.len()).for_each(|row| meet::<E, T>(row, y));
        }
        _ => nested::<E, T>(runs, x, y, true),
    }
}

/// Three or more alternations: rare, and not worth being compiled into every loop.
fn nested<E: Extremum, T: PartialOrd + Copy>(runs: &[Run], x: &[T], y: &mut [T], fresh: bool) {
    let [Run { count, reduced }, inner @ ..] = runs else {
        y[0] = if fresh || !stays::<E, T>(y[0], x[0]) { x[0] } else { y[0] };
        return;
    };
    let from = x.len() / count;
    let (to, size) = if *reduced { (0, y.len()) } else { (y.len() / count, y.len() / count) };
    for i in 0..*count {
        let fresh = fresh && (i == 0 || !reduced);
        nested::<E, T>(inner, &x[i * from..(i + 1) * from], &mut y[i * to..i * to + size], fresh);
    }
}

#[inline(always)]
fn meet<E: Extremum, T: PartialOrd + Copy>(x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = if stays::<E, T>(*y, x) { *y } else { x };
    }
}

/// The winner of neighbouring elements, sixteen abreast where there are many.
#[inline(always)]
fn winner<E: Extremum, T: PartialOrd + Copy>(x: &[T]) -> T {
    if x.len() < 32 {
        return x[1..].iter().fold(x[0], |a, &b| if stays::<E, T>(a, b) { a } else { b });
    }
    let mut lanes = [x[0]; 16];
    let rows = x.chunks_exact(16);
    meet::<E, T>(rows.remainder(), &mut lanes);
    for row in rows {
        meet::<E, T>(row, &mut lanes);
    }
    lanes.into_iter().fold(lanes[0], |a, b| if stays::<E, T>(a, b) { a } else { b })
}

/// Cases on all axes, with ties and NaN.
#[cfg(test)]
pub(crate) fn cases<E: Extremum>() -> Vec<crate::testing::case::Case> {
    use super::axes::each_case;
    use crate::testing::case::{case, integers, spaced, wild};
    let shapes: [&[usize]; 6] = [&[], &[1], &[37], &[2, 3, 4], &[4, 3, 2, 5], &[6, 1, 3]];
    let some = each_case(&shapes);
    let ties = |shape: &[usize]| integers(shape, -3, 4);
    let mut all: Vec<_> = some.iter().map(|(s, axes)| case(E::NAME, json!(axes), [spaced(s)])).collect();
    all.extend(some.iter().map(|(s, axes)| case(E::NAME, json!(axes), [ties(s).of(DType::F32)]).not_smooth()));
    all.extend(some.iter().map(|(s, axes)| case(E::NAME, json!(axes), [ties(s)]).not_smooth()));
    all.push(case(E::NAME, json!({ "axes": [0], "keepdims": false }), [wild()]).not_smooth());
    all.push(case(E::NAME, json!({ "axes": [1], "keepdims": false }), [spaced(&[0, 3])]).not_smooth());
    all
}
