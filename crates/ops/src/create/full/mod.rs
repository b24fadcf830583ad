//! A constant.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::{Elementwise, Form};
use tslip_graph::{Accuracy, Call, DType, DataMut, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::support::{constant, operands};

/// `full`: a tensor of `shape` and `dtype` whose elements all are `value`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Full {
    /// Extents of the result.
    pub shape: Vec<usize>,
    /// The element: whole and in range for integers, 0 or 1 for bool.
    #[serde(with = "number")]
    pub value: f64,
    /// Type of the result.
    pub dtype: DType,
}

/// A number in JSON, which has no number for those that are not finite: they have names.
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Special(Special),
    }

    #[derive(Serialize, Deserialize)]
    enum Special {
        Infinity,
        #[serde(rename = "-Infinity")]
        NegativeInfinity,
        NaN,
    }

    pub fn serialize<S: Serializer>(&value: &f64, to: S) -> Result<S::Ok, S::Error> {
        let number = match value {
            f64::INFINITY => Number::Special(Special::Infinity),
            f64::NEG_INFINITY => Number::Special(Special::NegativeInfinity),
            value if value.is_nan() => Number::Special(Special::NaN),
            value => Number::Finite(value),
        };
        number.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(match Number::deserialize(from)? {
            Number::Finite(value) => value,
            Number::Special(Special::Infinity) => f64::INFINITY,
            Number::Special(Special::NegativeInfinity) => f64::NEG_INFINITY,
            Number::Special(Special::NaN) => f64::NAN,
        })
    }
}

impl Op for Full {
    fn name(&self) -> &'static str {
        "full"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [] = operands(inputs)?;
        let value = self.value;
        let range = match self.dtype {
            DType::F32 => f64::NEG_INFINITY..=f64::INFINITY,
            DType::I32 => f64::from(i32::MIN)..=f64::from(i32::MAX),
            DType::U8 => 0.0..=255.0,
            DType::Bool => 0.0..=1.0,
        };
        if self.dtype != DType::F32 && !(range.contains(&value) && value.fract() == 0.0) {
            return Err(Error::argument(format!(
                "{value} is no value of type {}: whole numbers from {} to {} are",
                self.dtype,
                range.start(),
                range.end()
            )));
        }
        Ok(Spec::new(self.shape.clone(), self.dtype))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        ArrayD::from_elem(output.shape.clone(), self.value)
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        if self.dtype == DType::F32 { constant(self.value) } else { Accuracy::Exact }
    }

    fn cpu(&self, call: Call<'_>) {
        let value = self.value;
        match call.output.data {
            DataMut::F32(y) => y.fill(value as f32),
            DataMut::I32(y) => y.fill(value as i32),
            DataMut::U8(y) | DataMut::Bool(y) => y.fill(value as u8),
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let value = self.value;
        let (expression, word) = match self.dtype {
            DType::F32 => ("bitcast<f32>($w0)", (value as f32).to_bits()),
            DType::I32 => ("bitcast<i32>($w0)", (value as i32) as u32),
            DType::U8 => ("$w0", value as u32),
            DType::Bool => ("$w0 != 0u", value as u32),
        };
        Ok(Elementwise::of(expression).word(word).form())
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::case;
    let all = [
        (json!([]), json!(0.1), "f32"),
        (json!([3, 4]), json!("-Infinity"), "f32"),
        (json!([2]), json!("Infinity"), "f32"),
        (json!([2]), json!("NaN"), "f32"),
        (json!([0, 2]), json!(1), "f32"),
        (json!([5]), json!(-7), "i32"),
        (json!([5]), json!(255), "u8"),
        (json!([5]), json!(1), "bool"),
    ];
    let make = |(shape, value, dtype)| case("full", json!({ "shape": shape, "value": value, "dtype": dtype }), []);
    all.into_iter().map(|a| make(a).not_smooth()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_the_type_does_not_have_are_refused() {
        for (value, dtype) in [(0.5, "i32"), (3e9, "i32"), (-1.0, "u8"), (256.0, "u8"), (2.0, "bool")] {
            let op = crate::registry().make("full", &json!({ "shape": [2], "value": value, "dtype": dtype })).unwrap();
            assert!(op.infer(&[]).is_err(), "{value} as {dtype}");
        }
    }
}
