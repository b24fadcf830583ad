//! Positions along an axis.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::{Elementwise, Form, element};
use tslip_graph::{Accuracy, Call, DType, DataMut, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::support::operands;

/// `iota`: 0, 1, 2, … along `axis`, the same along all others; f32 or i32.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iota {
    /// Extents of the result.
    pub shape: Vec<usize>,
    /// The axis along which is counted.
    pub axis: usize,
    /// Type of the result.
    pub dtype: DType,
}

impl Iota {
    /// Sets each element to the position that `of` makes of its index along the axis.
    fn fill<T: Copy>(&self, y: &mut [T], of: impl Fn(usize) -> T) {
        let (count, inner) = (self.shape[self.axis], self.shape[self.axis + 1..].iter().product::<usize>());
        for (run, y) in y.chunks_exact_mut(inner.max(1)).enumerate() {
            y.fill(of(run % count));
        }
    }
}

impl Op for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [] = operands(inputs)?;
        if !matches!(self.dtype, DType::F32 | DType::I32) {
            return Err(Error::dtype(format!("positions are counted in f32 or i32, not {}", self.dtype)));
        }
        let Some(&count) = self.shape.get(self.axis) else {
            return Err(Error::argument(format!(
                "axis {} does not exist in shape {:?}: axes are numbered from 0 to the rank minus 1",
                self.axis, self.shape
            )));
        };
        let most = if self.dtype == DType::F32 { 1 << 24 } else { 1 << 31 };
        if count > most {
            return Err(Error::argument(format!("{} cannot count to {count}, only to {most}", self.dtype)));
        }
        Ok(Spec::new(self.shape.clone(), self.dtype))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        ArrayD::from_shape_fn(output.shape.clone(), |index| index[self.axis] as f64)
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, call: Call<'_>) {
        match call.output.data {
            DataMut::F32(y) => self.fill(y, |i| i as f32),
            DataMut::I32(y) => self.fill(y, |i| i as i32),
            _ => unreachable!("shape inference admits f32 and i32"),
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let inner: usize = self.shape[self.axis + 1..].iter().product();
        let function = Elementwise::of(format!("{}($i / $w0 % $w1)", element(self.dtype)));
        Ok(function.word(inner.max(1) as u32).word(self.shape[self.axis].max(1) as u32).form())
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::case;
    let all = [(json!([7]), 0), (json!([3, 4]), 0), (json!([3, 4]), 1), (json!([2, 3, 4]), 1), (json!([2, 0]), 1)];
    let both = all.into_iter().flat_map(|a| ["f32", "i32"].map(|dtype| (a.clone(), dtype)));
    let make = |((shape, axis), dtype)| case("iota", json!({ "shape": shape, "axis": axis, "dtype": dtype }), []);
    both.map(|a| make(a).not_smooth()).collect()
}
