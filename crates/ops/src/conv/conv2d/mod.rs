//! Cross-correlation of images with kernels: y[n,o] = sum over i of x[n,i] * w[o,i], zero padding.
// Circle: each is the derivative of another.
use ndarray::{Array4, ArrayD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::conv2d::{ConvShape, forward, forward_scratch};
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::conv2d_input_grad::Conv2dInputGrad;
use super::conv2d_weight_grad::Conv2dWeightGrad;
use super::product::{self, Pass};
use super::{
    CHANNELS_LAST, Geometry, WEIGHT_LAST, arranged, canonical, channels_last, check, each_tap, flops, in_layout,
};

/// `conv2d`: x `[n, c, h, w]`, w `[o, c / groups, kh, kw]` to `[n, o, oh, ow]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conv2d(pub Geometry);

impl Conv2d {
    fn shape(&self, x: &[usize], w: &[usize]) -> Result<ConvShape> {
        self.0.shape(self.0.data(x), self.0.weight(w))
    }

    fn known(&self, x: &[usize], w: &[usize]) -> ConvShape {
        self.shape(x, w).unwrap_or_else(|e| unreachable!("these shapes were inferred before: {e}"))
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        check(inputs)?;
        let s = self.shape(&inputs[0].shape, &inputs[1].shape)?;
        Ok(Spec::f32(self.0.data_shape([s.n, s.cout, s.out_h(), s.out_w()])))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (x, w) = (v.inputs[0], v.inputs[1]);
        let ([_, _, h, wide], [_, _, kh, kw]) = (self.0.data(v.graph.shape(x)), self.0.weight(v.graph.shape(w)));
        let of_x = Conv2dInputGrad { geometry: self.0.clone(), input_size: [h, wide] };
        let of_w = Conv2dWeightGrad { geometry: self.0.clone(), kernel_size: [kh, kw] };
        let dx = v.graph.emit(of_x, &[v.cotangent, w])?;
        let dw = v.graph.emit(of_w, &[x, v.cotangent])?;
        Ok(vec![Some(dx), Some(dw)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let s = self.known(inputs[0].shape(), inputs[1].shape());
        let (x, w) =
            (canonical(inputs[0], self.0.layout, &CHANNELS_LAST), canonical(inputs[1], self.0.layout, &WEIGHT_LAST));
        let mut y = Array4::zeros([s.n, s.cout, s.out_h(), s.out_w()]);
        each_tap(&s, |at_y, at_x, at_w| y[at_y] += x[at_x] * w[at_w]);
        in_layout(y, self.0.layout, &CHANNELS_LAST)
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        if inputs[1].batched { Samples::Whole } else { Samples::PerSample { sliced: vec![true, false] } }
    }

    fn arranged(&self, _inputs: &[&Spec]) -> Option<Arranged> {
        arranged(
            &self.0,
            Arranged {
                op: Arc::new(Conv2d(self.0.channels_last())),
                inputs: vec![Some(CHANNELS_LAST.to_vec()), Some(WEIGHT_LAST.to_vec())],
                output: Some(CHANNELS_LAST.to_vec()),
            },
        )
    }

    fn scratch(&self, inputs: &[&[usize]], output: &[usize]) -> usize {
        channels_last::scratch(self.0.layout, inputs, output) + forward_scratch(&self.known(inputs[0], inputs[1]))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, call: Call<'_>) {
        let s = self.known(call.inputs[0].shape, call.inputs[1].shape);
        let axes = [CHANNELS_LAST, WEIGHT_LAST, CHANNELS_LAST];
        channels_last::run(self.0.layout, axes, self.accumulates(), call, |x, w, y, scratch| {
            forward(Level::current(), &s, x, w, None, y, scratch);
        });
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        product::form(Pass::Forward, self.0.layout, &self.known(&inputs[0].shape, &inputs[1].shape), false)
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        flops(&self.known(inputs[0], inputs[1]))
    }
}
