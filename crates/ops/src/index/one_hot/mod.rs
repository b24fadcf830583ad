//! Labels as rows of zeros with a one.
use ndarray::{ArrayD, Dimension};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::{Elementwise, Form};
use tslip_graph::{Accuracy, Call, DType, Data, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::position;
use crate::support::operands;

/// `one_hot`: labels (i32 or u8) to f32 with a new last axis of `classes`. A label outside `0..classes` gives zeros.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneHot {
    /// Extent of the new axis, at least 1.
    pub classes: usize,
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [labels] = operands(inputs)?;
        if !matches!(labels.dtype, DType::I32 | DType::U8) {
            return Err(Error::dtype(format!("labels must be i32 or u8, not {}: cast them", labels.dtype)));
        }
        if self.classes == 0 {
            return Err(Error::argument("classes is 0: give at least 1"));
        }
        Ok(Spec::f32([&labels.shape[..], &[self.classes]].concat()))
    }

    fn vjp(&self, _v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let last = output.rank() - 1;
        ArrayD::from_shape_fn(output.shape.clone(), |to| {
            let (at, class) = (&to.slice()[..last], to[last]);
            if inputs[0][at] == class as f64 { 1.0 } else { 0.0 }
        })
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::PerSample { sliced: vec![true] }
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let y = call.output.f32();
        y.fill(0.0);
        let rows = y.chunks_exact_mut(self.classes);
        match call.inputs[0].data {
            Data::U8(labels) => rows.zip(labels).for_each(|(row, &label)| set(row, i32::from(label))),
            _ => rows.zip(call.inputs[0].i32()).for_each(|(row, &label)| set(row, label)),
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let element = if inputs[0].dtype == DType::U8 { "i32($0)" } else { "$0" };
        let rows = [&output.shape[..output.rank() - 1], &[1]].concat();
        let function = Elementwise {
            seen: Some(rows),
            ..Elementwise::of(format!("select(0.0, 1.0, {element} == i32($i % $w0))"))
        };
        Ok(function.word(self.classes as u32).form())
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

fn set(row: &mut [f32], label: i32) {
    if let Some(class) = position(label, row.len()) {
        row[class] = 1.0;
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers};
    let of = |shape: &[usize], classes: usize| {
        let labels = integers(shape, -1, classes as i64 + 1);
        case("one_hot", json!({ "classes": classes }), [labels])
    };
    vec![
        of(&[6], 3),
        of(&[4, 2], 1),
        of(&[], 5),
        of(&[0], 2),
        case("one_hot", json!({ "classes": 4 }), [integers(&[6], 0, 6).of(DType::U8)]),
    ]
}
