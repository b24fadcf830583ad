//! The adjoint of `pad`: each element gets the sum of what its copies in the padded tensor hold.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Argument, Form, Kernel, Rearrange};
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::shape::pad::Pad;
use crate::shape::padding::{Mode, Padding};
use crate::shape::{check_per_axis, follow, reorder};
use crate::support::{need, operands};

/// `pad_grad`: dy (f32) to extents `extent - before - after`; what stands where `pad` puts a constant is dropped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PadGrad {
    /// Elements that were added at the start of each axis.
    pub before: Vec<usize>,
    /// Elements that were added at its end.
    pub after: Vec<usize>,
    /// What was added.
    pub mode: Mode,
}

impl PadGrad {
    fn padding(&self) -> Padding<'_> {
        Padding { before: &self.before, after: &self.after, mode: self.mode }
    }
}

impl Op for PadGrad {
    fn name(&self) -> &'static str {
        "pad_grad"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [dy] = operands(inputs)?;
        need(dy, DType::F32)?;
        check_per_axis("before", &self.before, &dy.shape)?;
        check_per_axis("after", &self.after, &dy.shape)?;
        let extent = |axis: usize| {
            let (n, before, after) = (dy.shape[axis], self.before[axis], self.after[axis]);
            n.checked_sub(before).and_then(|n| n.checked_sub(after)).ok_or_else(|| {
                Error::argument(format!(
                    "padding by {before} and {after} cannot be taken off axis {axis} of extent {n}"
                ))
            })
        };
        let shape = (0..dy.rank()).map(extent).collect::<Result<Vec<_>>>()?;
        self.padding().check(&shape)?;
        Ok(Spec::f32(shape))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let op = Pad { before: self.before.clone(), after: self.after.clone(), mode: self.mode, value: 0.0 };
        Ok(vec![Some(v.graph.emit(op, &[v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let padding = self.padding();
        let mut dx = ArrayD::zeros(output.shape.clone());
        for (from, value) in inputs[0].indexed_iter() {
            let sources = (0..output.rank()).map(|axis| padding.source(axis, output.shape[axis], from[axis]));
            if let Some(to) = sources.collect::<Option<Vec<usize>>>() {
                dx[to.as_slice()] += value;
            }
        }
        dx
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match (self.before.first(), self.after.first()) {
            (Some(0), Some(0)) => Samples::PerSample { sliced: vec![true] },
            _ => Samples::Whole,
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let op = PadGrad { before: reorder(&self.before, axes), after: reorder(&self.after, axes), ..*self };
        Some(follow(Arc::new(op), 1, axes))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (dy, shape) = (call.inputs[0].f32(), call.output.shape);
        let dx = call.output.f32();
        dx.fill(0.0);
        self.padding().each_run(shape, &mut |at, source, length| {
            if let Some(start) = source {
                let parts = &dy[at..at + length];
                dx[start..start + length].iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
        });
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let mut shape = inputs[0].shape.clone();
        let padded: Vec<usize> = (0..shape.len()).filter(|&a| self.before[a] + self.after[a] > 0).collect();
        // Without padding one axis, the first, is copied.
        let axes = if padded.is_empty() { vec![0; shape.len().min(1)] } else { padded };
        if axes.is_empty() {
            return Ok(Form::View(Rearrange::Reshape));
        }
        if output.is_empty() {
            return Ok(Form::Kernels(Vec::new()));
        }
        let mut launches = Vec::new();
        let mut source = Argument::Input(0);
        let mut at = 0;
        for (k, &axis) in axes.iter().enumerate() {
            shape[axis] = output.shape[axis];
            let count = shape.iter().product();
            let last = k + 1 == axes.len();
            let result = if last { Argument::Output } else { Argument::Scratch { at, words: count } };
            at += count;
            let inner = shape[axis + 1..].iter().product();
            let sizes = [count, inner, shape[axis], self.before[axis], self.after[axis], self.mode as usize];
            let words = sizes.map(Argument::size).into_iter().chain([source, result]).collect();
            let kernel = Kernel::new("pad, gradient", include_str!("pad_grad.wgsl"));
            launches.push(kernel.with(include_str!("../padding.wgsl")).over(count, words));
            source = result;
        }
        Ok(Form::Kernels(launches))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{SUMMED, case, normal};
    let all = [Mode::Constant, Mode::Reflect, Mode::Replicate, Mode::Circular, Mode::Symmetric];
    let of = |mode: Mode, shape: &[usize], before: &[usize], after: &[usize]| {
        case("pad_grad", json!({ "before": before, "after": after, "mode": mode }), [normal(shape)]).within(SUMMED)
    };
    let each = |mode: Mode| {
        [
            of(mode, &[4, 2, 8, 6], &[0, 0, 2, 1], &[0, 0, 1, 2]),
            of(mode, &[4, 9, 4, 2], &[0, 4, 0, 0], &[0, 0, 1, 0]),
            of(mode, &[9], &[3], &[2]),
            of(mode, &[6, 0], &[2, 0], &[1, 0]),
            of(mode, &[2, 3], &[0, 0], &[0, 0]),
        ]
    };
    all.into_iter().flat_map(each).collect()
}
