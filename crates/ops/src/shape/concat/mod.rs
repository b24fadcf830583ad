//! Several tensors one after another along an axis.
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::shape::slice::Slice;
use crate::shape::{check_axis, follow, moved};

/// `concat`: one or more operands of one type whose shapes differ at most along `axis`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concat {
    /// The axis along which the operands follow one another.
    pub axis: usize,
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [first, rest @ ..] = inputs else { return Err(Error::argument("one or more operands are needed")) };
        check_axis(self.axis, &first.shape)?;
        let mut shape = first.shape.clone();
        for other in rest {
            if other.dtype != first.dtype {
                return Err(Error::dtype(format!(
                    "operands of types {} and {} cannot follow one another: cast them to one type",
                    first.dtype, other.dtype
                )));
            }
            let fits = |i: usize| i == self.axis || other.shape[i] == first.shape[i];
            if other.rank() != first.rank() || !(0..first.rank()).all(fits) {
                return Err(Error::shape(format!(
                    "shapes {:?} and {:?} cannot follow one another along axis {}: all other extents must be equal",
                    first.shape, other.shape, self.axis
                )));
            }
            shape[self.axis] = shape[self.axis].saturating_add(other.shape[self.axis]);
        }
        Ok(Spec::new(shape, first.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let whole = v.graph.shape(v.output).to_vec();
        let (mut starts, mut stops) = (vec![0; whole.len()], whole);
        let mut parts = Vec::with_capacity(v.inputs.len());
        for &input in v.inputs {
            stops[self.axis] = starts[self.axis] + v.graph.shape(input)[self.axis];
            let part = Slice { starts: starts.clone(), stops: stops.clone(), steps: vec![1; stops.len()] };
            parts.push(Some(v.graph.emit(part, &[v.cotangent])?));
            starts[self.axis] = stops[self.axis];
        }
        Ok(parts)
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let mut y = ArrayD::zeros(output.shape.clone());
        let mut from = 0;
        for x in inputs {
            let to = from + x.shape()[self.axis];
            y.slice_axis_mut(Axis(self.axis), ndarray::Slice::from(from..to)).assign(x);
            from = to;
        }
        y
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axis {
            0 => Samples::Whole,
            _ => Samples::PerSample { sliced: vec![true; inputs.len()] },
        }
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        let axis = axes.iter().position(|&a| a == self.axis)?;
        Some(follow(Arc::new(Concat { axis }), inputs.len(), axes))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let row: usize = call.output.shape[self.axis..].iter().product();
        let mut from = 0;
        for input in call.inputs {
            let part: usize = input.shape[self.axis..].iter().product();
            if part > 0 {
                moved!(input.data, &mut call.output.data, |x, y| {
                    for (x, y) in x.chunks_exact(part).zip(y.chunks_exact_mut(row)) {
                        y[from..from + part].copy_from_slice(x);
                    }
                });
            }
            from += part;
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let mut words = vec![Argument::size(output.len())];
        words.push(Argument::size(output.shape[self.axis..].iter().product()));
        words.extend([Argument::Output, Argument::size(inputs.len())]);
        let mut end = 0;
        for (i, input) in inputs.iter().enumerate() {
            end += input.shape[self.axis..].iter().product::<usize>();
            words.extend([Argument::size(end), Argument::Input(i)]);
        }
        Ok(Form::Kernels(vec![Kernel::new("concat", include_str!("concat.wgsl")).over(output.len(), words)]))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{bools, case, normal};
    let along = |axis: usize, shapes: &[&[usize]]| {
        case("concat", json!({ "axis": axis }), shapes.iter().map(|s| normal(s)).collect::<Vec<_>>())
    };
    vec![
        along(1, &[&[4, 2, 3], &[4, 1, 3], &[4, 3, 3]]),
        along(0, &[&[4, 2], &[1, 2]]),
        along(2, &[&[4, 2, 3], &[4, 2, 5]]),
        along(1, &[&[3, 0], &[3, 2], &[3, 0]]),
        along(0, &[&[2, 0], &[3, 0]]),
        along(1, &[&[3, 4]]),
        case("concat", json!({ "axis": 1 }), [bools(&[2, 3]), bools(&[2, 1])]).not_smooth(),
    ]
}
