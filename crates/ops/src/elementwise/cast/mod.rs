//! The same values in another element type.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{self, Form};
use tslip_graph::{Accuracy, Arranged, Call, DType, Data, DataMut, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::elementwise::loops::Each;
use crate::support::{elementwise_permuted, elementwise_samples, operands, vectorized};

/// `cast`: x of any type to `dtype`. To bool: whether it is not 0. To integers: the fraction is dropped, what lies
/// outside becomes the nearest value, NaN becomes 0. Only from f32 to f32 do gradients pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// The type of the result.
    pub dtype: DType,
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        Ok(Spec::new(x.shape.clone(), self.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let floats = self.dtype == DType::F32 && v.graph.spec(v.inputs[0]).dtype == DType::F32;
        Ok(vec![floats.then_some(v.cotangent)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let whole = |x: f64, low: f64, high: f64| if x.is_nan() { 0.0 } else { x.trunc().clamp(low, high) };
        inputs[0].mapv(|x| match self.dtype {
            DType::F32 => x,
            DType::I32 => whole(x, f64::from(i32::MIN), f64::from(i32::MAX)),
            DType::U8 => whole(x, 0.0, 255.0),
            DType::Bool => f64::from(u8::from(x != 0.0)),
        })
    }

    fn elementwise(&self) -> bool {
        true
    }

    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        elementwise_samples(inputs, output)
    }

    fn permuted(&self, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
        elementwise_permuted(Arc::new(self.clone()), axes, inputs)
    }

    /// Integers beyond 2^24 become the nearest float.
    fn accuracy(&self) -> Accuracy {
        if self.dtype == DType::F32 { Accuracy::Summed } else { Accuracy::Exact }
    }

    fn cpu(&self, call: Call<'_>) {
        match (call.inputs[0].data, call.output.data) {
            (Data::F32(x), DataMut::I32(y)) => vectorized(Each { x, y, f: |x| x as i32 }),
            (Data::F32(x), DataMut::U8(y)) => vectorized(Each { x, y, f: |x| x as u8 }),
            (Data::F32(x), DataMut::Bool(y)) => vectorized(Each { x, y, f: |x| u8::from(x != 0.0) }),
            (Data::I32(x), DataMut::F32(y)) => vectorized(Each { x, y, f: |x| x as f32 }),
            (Data::I32(x), DataMut::U8(y)) => vectorized(Each { x, y, f: |x: i32| x.clamp(0, 255) as u8 }),
            (Data::I32(x), DataMut::Bool(y)) => vectorized(Each { x, y, f: |x| u8::from(x != 0) }),
            (Data::U8(x) | Data::Bool(x), DataMut::F32(y)) => vectorized(Each { x, y, f: f32::from }),
            (Data::U8(x) | Data::Bool(x), DataMut::I32(y)) => vectorized(Each { x, y, f: i32::from }),
            (Data::U8(x), DataMut::Bool(y)) => vectorized(Each { x, y, f: |x| u8::from(x != 0) }),
            (Data::F32(x), DataMut::F32(y)) => y.copy_from_slice(x),
            (Data::I32(x), DataMut::I32(y)) => y.copy_from_slice(x),
            (Data::U8(x) | Data::Bool(x), DataMut::U8(y)) | (Data::Bool(x), DataMut::Bool(y)) => y.copy_from_slice(x),
        }
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let of_float = |expression: &str| gpu::Elementwise::of(expression).calls(include_str!("../whole.wgsl")).form();
        Ok(match (inputs[0].dtype, self.dtype) {
            (from, to) if from == to => Form::elementwise("$0"),
            (DType::F32, DType::I32) => of_float("tslip_to_i32($0)"),
            (DType::F32, DType::U8) => of_float("tslip_to_u8($0)"),
            (DType::I32, DType::U8) => Form::elementwise("u32(clamp($0, 0, 255))"),
            (DType::F32, DType::Bool) => Form::elementwise("!($0 == 0.0)"),
            (DType::I32, DType::Bool) => Form::elementwise("$0 != 0"),
            (DType::U8, DType::Bool) => Form::elementwise("$0 != 0u"),
            // WGSL does not say to which of the two floats around it a large integer goes. Both terms are floats, and so it is
            // their sum that is rounded.
            (DType::I32, DType::F32) => Form::elementwise("f32($0 >> 12u) * 4096.0 + f32($0 & 4095)"),
            (_, to) => Form::elementwise(format!("{}($0)", gpu::element(to))),
        })
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{bools, case, integers, normal, uniform, values, wild};
    let types = [DType::F32, DType::I32, DType::U8, DType::Bool];
    let operands = [
        wild(),
        uniform(&[4, 9], -300.0, 300.0),
        integers(&[4, 9], -300, 300),
        integers(&[4, 9], 0, 256).of(DType::U8),
        bools(&[2, 3, 2]),
        normal(&[]),
    ];
    let pairs = operands.iter().flat_map(|x| types.map(|dtype| (x.clone(), dtype)));
    let mut all: Vec<_> = pairs.map(|(x, dtype)| case("cast", json!({ "dtype": dtype }), [x]).not_smooth()).collect();
    all.push(case("cast", json!({ "dtype": "f32" }), [normal(&[3, 4])]));
    // Half way between floats, next to that, and the outermost.
    let large =
        [16777217.0, 16777219.0, -16777217.0, 33554434.0, 33554437.0, -1073741889.0, 2147483647.0, -2147483648.0];
    all.push(case("cast", json!({ "dtype": "f32" }), [values(&[8], &large).of(DType::I32)]).not_smooth());
    all
}
