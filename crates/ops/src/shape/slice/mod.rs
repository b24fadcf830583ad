//! A regular part of a tensor: along each axis every `step`-th entry from `start` up to before `stop`.
use ndarray::{ArrayD, SliceInfoElem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Form, Rearrange};
use tslip_graph::spec::strides;
use tslip_graph::{Accuracy, Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::emit::Emit;
use crate::shape::pad::Pad;
use crate::shape::padding::Mode;
use crate::shape::{check_per_axis, follow, moved, reorder, strided};
use crate::support::operands;

/// `slice`: x of any type; extent `ceil((stop - start) / step)` along each axis, `start <= stop <= extent of x`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slice {
    /// First entry taken along each axis.
    pub starts: Vec<usize>,
    /// The entry before which to stop.
    pub stops: Vec<usize>,
    /// Distance between entries, at least 1.
    pub steps: Vec<usize>,
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        for (name, list) in [("starts", &self.starts), ("stops", &self.stops), ("steps", &self.steps)] {
            check_per_axis(name, list, &x.shape)?;
        }
        let extent = |axis: usize| {
            let (start, stop, step) = (self.starts[axis], self.stops[axis], self.steps[axis]);
            if start > stop || stop > x.shape[axis] || step == 0 {
                return Err(Error::argument(format!(
                    "start {start}, stop {stop}, step {step} on axis {axis} of shape {:?}: start <= stop <= extent and \
                     step >= 1 are needed",
                    x.shape
                )));
            }
            Ok((stop - start).div_ceil(step))
        };
        Ok(Spec::new((0..x.rank()).map(extent).collect::<Result<Vec<_>>>()?, x.dtype))
    }

    /// Zeros everywhere but where entries were taken: spread by the steps, then padded.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let whole = v.graph.shape(v.inputs[0]).to_vec();
        let taken = v.graph.shape(v.output).to_vec();
        let rank = whole.len();
        let mut part = v.cotangent;
        let steps = self.taken_steps(&taken);
        if steps.iter().any(|&s| s != 1) {
            let split: Vec<usize> = taken.iter().flat_map(|&n| [n, 1]).collect();
            let gaps: Vec<usize> = steps.iter().flat_map(|&s| [0, s - 1]).collect();
            let spread: Vec<usize> = taken.iter().zip(&steps).map(|(n, s)| n * s).collect();
            let used: Vec<usize> = spread.iter().zip(&steps).map(|(n, s)| (n + 1).saturating_sub(*s)).collect();
            part = v.graph.reshape(part, &split)?;
            part = zeros_around(v.graph, part, &vec![0; 2 * rank], &gaps)?;
            part = v.graph.reshape(part, &spread)?;
            let cut = Slice { starts: vec![0; rank], stops: used, steps: vec![1; rank] };
            part = v.graph.emit(cut, &[part])?;
        }
        let got = v.graph.shape(part).to_vec();
        let after: Vec<usize> = (0..rank).map(|i| whole[i] - self.starts[i] - got[i]).collect();
        Ok(vec![Some(zeros_around(v.graph, part, &self.starts, &after)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let steps = self.taken_steps(&output.shape);
        let range = |i: usize| SliceInfoElem::Slice {
            start: self.starts[i] as isize,
            end: Some(self.starts[i].max(self.stops[i].min(self.starts[i] + output.shape[i] * steps[i])) as isize),
            step: steps[i] as isize,
        };
        let ranges: Vec<SliceInfoElem> = (0..output.rank()).map(range).collect();
        inputs[0].slice(ranges.as_slice()).as_standard_layout().into_owned()
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        let all = self.starts.first() == Some(&0) && self.steps.first() == Some(&1);
        match all && self.stops.first() == inputs[0].spec.shape.first() {
            true => Samples::PerSample { sliced: vec![true] },
            false => Samples::Whole,
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let of = |list: &[usize]| reorder(list, axes);
        let op = Slice { starts: of(&self.starts), stops: of(&self.stops), steps: of(&self.steps) };
        Some(follow(Arc::new(op), 1, axes))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        let x = call.inputs[0];
        let along = strides(x.shape);
        let start = self.starts.iter().zip(&along).map(|(s, stride)| s * stride).sum();
        let steps: Vec<usize> =
            self.taken_steps(call.output.shape).iter().zip(&along).map(|(step, stride)| step * stride).collect();
        moved!(x.data, call.output.data, |x, y| strided::copy(call.output.shape, &steps, start, x, y));
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::View(Rearrange::Slice { start: self.starts.clone(), step: self.steps.clone() }))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl Slice {
    /// The steps between the entries taken; where at most one is taken there is none, however large the attribute.
    fn taken_steps(&self, taken: &[usize]) -> Vec<usize> {
        self.steps.iter().zip(taken).map(|(&step, &n)| if n > 1 { step } else { 1 }).collect()
    }
}

fn zeros_around(graph: &mut tslip_graph::Graph, x: NodeId, before: &[usize], after: &[usize]) -> Result<NodeId> {
    if before.iter().chain(after).all(|&n| n == 0) {
        return Ok(x);
    }
    graph.emit(Pad { before: before.to_vec(), after: after.to_vec(), mode: Mode::Constant, value: 0.0 }, &[x])
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal};
    let part = |shape: &[usize], starts: &[usize], stops: &[usize], steps: &[usize]| {
        case("slice", json!({ "starts": starts, "stops": stops, "steps": steps }), [normal(shape)])
    };
    vec![
        part(&[4, 5, 3], &[0, 1, 0], &[4, 4, 2], &[1, 1, 1]),
        part(&[6, 7], &[0, 1], &[6, 7], &[1, 3]),
        part(&[6, 7], &[1, 0], &[6, 7], &[2, 2]),
        part(&[3, 8, 2], &[0, 2, 1], &[3, 3, 2], &[1, usize::MAX, 5]),
        part(&[5], &[5], &[5], &[1]),
        part(&[5, 2], &[3, 0], &[3, 2], &[2, 1]),
        part(&[0, 2], &[0, 0], &[0, 1], &[1, 1]),
        part(&[], &[], &[], &[]),
        case("slice", json!({ "starts": [1], "stops": [6], "steps": [2] }), [integers(&[7], 0, 99)]).not_smooth(),
    ]
}
