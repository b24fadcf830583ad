//! Repeats a tensor along axes of extent 1 and along new leading axes, as NumPy broadcasting does.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Form, Rearrange};
use tslip_graph::spec::{broadcast, strides};
use tslip_graph::{Accuracy, Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::emit::Emit;
use crate::shape::{moved, reorder, strided};
use crate::support::operands;

/// `broadcast_to`: x of any type to `shape`; counted from the last axis, extents of x are those of `shape` or 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BroadcastTo {
    /// Extents of the result.
    pub shape: Vec<usize>,
}

impl Op for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        match broadcast(&x.shape, &self.shape) {
            Ok(shape) if shape == self.shape => Ok(Spec::new(shape, x.dtype)),
            _ => Err(Error::shape(format!(
                "shape {:?} cannot be repeated to {:?}: counted from the last axis, each of its extents must be 1 or \
                 the one wanted",
                x.shape, self.shape
            ))),
        }
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let shape = v.graph.shape(v.inputs[0]).to_vec();
        Ok(vec![Some(v.graph.sum_to(v.cotangent, &shape)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        match inputs[0].broadcast(output.shape.as_slice()) {
            Some(y) => y.to_owned(),
            None => unreachable!("shape inference has established that the shapes broadcast"),
        }
    }

    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        let x = inputs[0].spec;
        match x.rank() == output.rank() && x.shape.first() == output.shape.first() {
            true => Samples::PerSample { sliced: vec![true] },
            false => Samples::Whole,
        }
    }

    /// New leading axes stay where they are; the others follow x.
    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        let new = self.shape.len() - axes.len();
        let output: Vec<usize> = (0..new).chain(axes.iter().map(|a| a + new)).collect();
        let op = Arc::new(BroadcastTo { shape: reorder(&self.shape, &output) });
        Some(Arranged { op, inputs: vec![Some(axes.to_vec())], output: Some(output) })
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        let (x, shape) = (call.inputs[0], call.output.shape);
        let mut steps = vec![0; shape.len() - x.shape.len()];
        let kept = x.shape.iter().zip(strides(x.shape));
        steps.extend(kept.map(|(&extent, stride)| if extent == 1 { 0 } else { stride }));
        moved!(x.data, call.output.data, |x, y| strided::copy(shape, &steps, 0, x, y));
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::View(Rearrange::Broadcast))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal};
    let to = |from: &[usize], shape: &[usize]| case("broadcast_to", json!({ "shape": shape }), [normal(from)]);
    vec![
        to(&[4, 1, 3], &[4, 5, 3]),
        to(&[4, 3, 1], &[4, 3, 6]),
        to(&[3], &[2, 4, 3]),
        to(&[2, 1], &[5, 2, 3]),
        to(&[1, 3, 1, 2], &[4, 3, 2, 2]),
        to(&[], &[2, 3]),
        to(&[3, 2], &[3, 2]),
        to(&[2, 1], &[2, 0]),
        case("broadcast_to", json!({ "shape": [4, 3] }), [integers(&[4, 1], -9, 9)]).not_smooth(),
    ]
}
