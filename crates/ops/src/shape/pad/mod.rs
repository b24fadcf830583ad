//! Adds elements around a tensor: a constant, or copies of its own.
// Circle: each is the derivative of another.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::spec::strides;
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::shape::pad_grad::PadGrad;
use crate::shape::padding::{Mode, Padding};
use crate::shape::slice::Slice;
use crate::shape::{follow, moved, reorder};
use crate::support::{constant, operands};

/// `pad`: x of any type to extents `before + extent + after`. `value` counts in mode "constant" alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pad {
    /// Elements added at the start of each axis.
    pub before: Vec<usize>,
    /// Elements added at its end.
    pub after: Vec<usize>,
    /// What is added.
    pub mode: Mode,
    /// The constant; a value of the type of x.
    #[serde(default)]
    pub value: f64,
}

impl Pad {
    /// Where its elements come from.
    pub fn padding(&self) -> Padding<'_> {
        Padding { before: &self.before, after: &self.after, mode: self.mode }
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        let whole = self.value.fract() == 0.0;
        let fits = match x.dtype {
            DType::F32 => (self.value as f32).is_finite(),
            DType::I32 => whole && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&self.value),
            DType::U8 => whole && (0.0..=255.0).contains(&self.value),
            DType::Bool => self.value == 0.0 || self.value == 1.0,
        };
        if !fits {
            return Err(Error::argument(format!("{} is no finite value of type {}", self.value, x.dtype)));
        }
        self.padding().check(&x.shape)?;
        Ok(Spec::new(self.padding().padded(&x.shape), x.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let x = v.graph.shape(v.inputs[0]);
        let part = if self.mode == Mode::Constant {
            let stops: Vec<usize> = x.iter().zip(&self.before).map(|(n, before)| n + before).collect();
            let steps = vec![1; stops.len()];
            v.graph.emit(Slice { starts: self.before.clone(), stops, steps }, &[v.cotangent])?
        } else {
            let op = PadGrad { before: self.before.clone(), after: self.after.clone(), mode: self.mode };
            v.graph.emit(op, &[v.cotangent])?
        };
        Ok(vec![Some(part)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let (x, padding) = (inputs[0], self.padding());
        ArrayD::from_shape_fn(output.shape.clone(), |to| {
            let sources = (0..x.ndim()).map(|axis| padding.source(axis, x.shape()[axis], to[axis]));
            match sources.collect::<Option<Vec<usize>>>() {
                Some(from) => x[from.as_slice()],
                None => self.value,
            }
        })
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match (self.before.first(), self.after.first()) {
            (Some(0), Some(0)) => Samples::PerSample { sliced: vec![true] },
            _ => Samples::Whole,
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let op = Pad { before: reorder(&self.before, axes), after: reorder(&self.after, axes), ..*self };
        Some(follow(Arc::new(op), 1, axes))
    }

    fn accuracy(&self) -> Accuracy {
        constant(self.value)
    }

    fn cpu(&self, call: Call<'_>) {
        let x = call.inputs[0];
        moved!(x.data, call.output.data, |from, to| {
            self.padding().each_run(x.shape, &mut |at, source, length| match source {
                Some(start) => to[at..at + length].copy_from_slice(&from[start..start + length]),
                None => to[at..at + length].fill(self.value as _),
            });
        });
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let x = inputs[0];
        let value = match x.dtype {
            DType::F32 => (self.value as f32).to_bits(),
            DType::I32 => (self.value as i32) as u32,
            DType::U8 | DType::Bool => self.value as u32,
        };
        let mut words = vec![Argument::size(output.len()), Argument::Word(self.mode as u32), Argument::Word(value)];
        words.extend([Argument::Input(0), Argument::Output, Argument::size(x.rank())]);
        for (axis, stride) in strides(&x.shape).into_iter().enumerate() {
            let sizes = [output.shape[axis], x.shape[axis], stride, self.before[axis]];
            words.extend(sizes.map(Argument::size));
        }
        let kernel = Kernel::new("pad", include_str!("pad.wgsl")).with(include_str!("../padding.wgsl"));
        Ok(Form::Kernels(vec![kernel.over(output.len(), words)]))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal};
    let all = [Mode::Constant, Mode::Reflect, Mode::Replicate, Mode::Circular, Mode::Symmetric];
    let of = |mode: Mode, shape: &[usize], before: &[usize], after: &[usize]| {
        let attributes = json!({ "before": before, "after": after, "mode": mode, "value": -1.5 });
        case("pad", attributes, [normal(shape)])
    };
    let each = |mode: Mode| {
        [
            of(mode, &[4, 2, 5, 3], &[0, 0, 2, 1], &[0, 0, 1, 2]),
            of(mode, &[4, 5, 3, 2], &[0, 4, 0, 0], &[0, 0, 1, 0]),
            of(mode, &[4], &[3], &[2]),
            of(mode, &[3, 0], &[2, 0], &[1, 0]),
            of(mode, &[2, 3], &[0, 0], &[0, 0]),
            of(mode, &[], &[], &[]),
        ]
    };
    let mut all: Vec<_> = all.into_iter().flat_map(each).collect();
    all.push(of(Mode::Constant, &[2, 0], &[0, 2], &[1, 1]));
    all.push(of(Mode::Replicate, &[2, 1], &[0, 4], &[0, 9]));
    let whole = json!({ "before": [2, 0], "after": [0, 1], "mode": "constant", "value": -7 });
    let tenth = json!({ "before": [1], "after": [0], "mode": "constant", "value": 0.1 });
    all.push(case("pad", tenth, [normal(&[3])]));
    all.push(case("pad", whole, [integers(&[3, 4], -9, 9)]).not_smooth());
    all
}
