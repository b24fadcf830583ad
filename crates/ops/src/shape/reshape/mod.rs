//! The same elements in row-major order under another shape.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::{Form, Rearrange};
use tslip_graph::{Accuracy, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::emit::Emit;
use crate::shape::moved;
use crate::support::operands;

/// `reshape`: x of any type to `shape`, which has as many elements.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reshape {
    /// Extents of the result.
    pub shape: Vec<usize>,
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        let output = Spec::new(self.shape.clone(), x.dtype).check()?;
        if output.len() != x.len() {
            let (want, got) = (output.len(), x.len());
            return Err(Error::shape(format!(
                "shape {:?} has {want} elements, the operand of shape {:?} has {got}: both must have as many",
                self.shape, x.shape
            )));
        }
        Ok(output)
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let shape = v.graph.shape(v.inputs[0]).to_vec();
        Ok(vec![Some(v.graph.reshape(v.cotangent, &shape)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let elements = inputs[0].iter().copied().collect();
        ArrayD::from_shape_vec(output.shape.clone(), elements).unwrap_or_else(|e| unreachable!("as many elements: {e}"))
    }

    /// Sample s owns the s-th of N equal stretches of memory in both shapes when N divides both leading extents.
    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        match (inputs[0].spec.shape.first(), output.shape.first()) {
            (Some(&a), Some(&b)) if a > 0 && b > 0 && (a % b == 0 || b % a == 0) => {
                Samples::PerSample { sliced: vec![true] }
            }
            _ => Samples::Whole,
        }
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        moved!(call.inputs[0].data, call.output.data, |x, y| y.copy_from_slice(x));
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::View(Rearrange::Reshape))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, normal};
    let to = |from: &[usize], shape: &[usize]| case("reshape", json!({ "shape": shape }), [normal(from)]);
    vec![
        to(&[4, 3, 2], &[4, 6]),
        to(&[6, 4], &[2, 12]),
        to(&[3, 8], &[6, 4]),
        to(&[6, 2], &[4, 3]),
        to(&[1], &[]),
        to(&[], &[1, 1]),
        to(&[2, 0], &[0, 5]),
        case("reshape", json!({ "shape": [6] }), [integers(&[2, 3], -9, 9)]).not_smooth(),
    ]
}
