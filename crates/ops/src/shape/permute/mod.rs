//! The same tensor with its axes in another order.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::arrange::inverse;
use tslip_graph::gpu::{Form, Rearrange};
use tslip_graph::spec::strides;
use tslip_graph::{Accuracy, Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::emit::Emit;
use crate::shape::{moved, reorder, strided};
use crate::support::operands;

/// `permute`: axis i of the result is axis `axes[i]` of x, which may have any type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permute {
    /// For each axis of the result the axis of x it was.
    pub axes: Vec<usize>,
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.rank()) {
            return Err(Error::argument(format!(
                "axes {:?} do not name each axis of shape {:?} once: give a permutation of 0..{}",
                self.axes,
                x.shape,
                x.rank()
            )));
        }
        Ok(Spec::new(reorder(&x.shape, &self.axes), x.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.permute(v.cotangent, &inverse(&self.axes))?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        inputs[0].view().permuted_axes(self.axes.as_slice()).as_standard_layout().into_owned()
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match self.axes.first() {
            Some(0) => Samples::PerSample { sliced: vec![true] },
            _ => Samples::Whole,
        }
    }

    /// Two permutations in a row are one.
    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let op = Arc::new(Permute { axes: reorder(&inverse(axes), &self.axes) });
        Some(Arranged { op, inputs: vec![Some(axes.to_vec())], output: None })
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        let x = call.inputs[0];
        let steps = reorder(&strides(x.shape), &self.axes);
        moved!(x.data, call.output.data, |x, y| strided::copy(call.output.shape, &steps, 0, x, y));
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::View(Rearrange::Permute(self.axes.clone())))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{bools, case, integers, normal};
    let by = |shape: &[usize], axes: &[usize]| case("permute", json!({ "axes": axes }), [normal(shape)]);
    vec![
        by(&[2, 3, 4, 5], &[0, 2, 3, 1]),
        by(&[2, 4, 5, 3], &[0, 3, 1, 2]),
        by(&[9, 4, 3, 3], &[2, 3, 1, 0]),
        by(&[4, 2, 3, 5], &[1, 3, 0, 2]),
        by(&[70, 83], &[1, 0]),
        by(&[2, 16, 24], &[0, 2, 1]),
        by(&[1, 5, 1, 3], &[3, 2, 1, 0]),
        by(&[3, 0, 2], &[2, 0, 1]),
        by(&[], &[]),
        case("permute", json!({ "axes": [1, 0, 2] }), [integers(&[3, 4, 2], -9, 9)]).not_smooth(),
        case("permute", json!({ "axes": [2, 1, 0] }), [bools(&[3, 4, 2])]).not_smooth(),
    ]
}
