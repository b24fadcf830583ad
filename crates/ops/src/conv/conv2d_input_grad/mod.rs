//! The adjoint of convolution in its image, which is also the transposed convolution.
use ndarray::{Array4, ArrayD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::conv2d::{ConvShape, input_grad, input_grad_scratch};
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::conv2d::Conv2d;
use super::conv2d_weight_grad::Conv2dWeightGrad;
use super::product::{self, Pass};
use super::{
    CHANNELS_LAST, Geometry, WEIGHT_LAST, arranged, canonical, channels_last, check, each_tap, flops, in_layout,
};

/// `conv2d_input_grad`: dy `[n, o, oh, ow]`, w `[o, c / groups, kh, kw]` to `[n, c, *inputSize]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conv2dInputGrad {
    /// The convolution it belongs to.
    #[serde(flatten)]
    pub geometry: Geometry,
    /// Height and width of the image, which the size of `dy` does not determine when the stride is over 1.
    pub input_size: [usize; 2],
}

impl Conv2dInputGrad {
    fn shape(&self, dy: &[usize], w: &[usize]) -> Result<ConvShape> {
        let ([n, cout, oh, ow], weight) = (self.geometry.data(dy), self.geometry.weight(w));
        let cin = weight[1].saturating_mul(self.geometry.groups);
        let s = self.geometry.shape([n, cin, self.input_size[0], self.input_size[1]], weight)?;
        if (cout, oh, ow) != (s.cout, s.out_h(), s.out_w()) {
            return Err(Error::shape(format!(
                "an image of {:?} convolved with these weights has {} channels of {}x{}, not {cout} of {oh}x{ow}",
                self.input_size,
                s.cout,
                s.out_h(),
                s.out_w()
            )));
        }
        Ok(s)
    }

    fn known(&self, dy: &[usize], w: &[usize]) -> ConvShape {
        self.shape(dy, w).unwrap_or_else(|e| unreachable!("these shapes were inferred before: {e}"))
    }
}

impl Op for Conv2dInputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        check(inputs)?;
        let s = self.shape(&inputs[0].shape, &inputs[1].shape)?;
        Ok(Spec::f32(self.geometry.data_shape([s.n, s.cin, s.h, s.w])))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (dy, w) = (v.inputs[0], v.inputs[1]);
        let [_, _, kh, kw] = self.geometry.weight(v.graph.shape(w));
        let of_dy = v.graph.emit(Conv2d(self.geometry.clone()), &[v.cotangent, w])?;
        let weight_grad = Conv2dWeightGrad { geometry: self.geometry.clone(), kernel_size: [kh, kw] };
        let of_w = v.graph.emit(weight_grad, &[v.cotangent, dy])?;
        Ok(vec![Some(of_dy), Some(of_w)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let (s, layout) = (self.known(inputs[0].shape(), inputs[1].shape()), self.geometry.layout);
        let (dy, w) = (canonical(inputs[0], layout, &CHANNELS_LAST), canonical(inputs[1], layout, &WEIGHT_LAST));
        let mut dx = Array4::zeros([s.n, s.cin, s.h, s.w]);
        each_tap(&s, |at_y, at_x, at_w| dx[at_x] += dy[at_y] * w[at_w]);
        in_layout(dx, layout, &CHANNELS_LAST)
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        if inputs[1].batched { Samples::Whole } else { Samples::PerSample { sliced: vec![true, false] } }
    }

    fn arranged(&self, _inputs: &[&Spec]) -> Option<Arranged> {
        let geometry = self.geometry.channels_last();
        arranged(
            &self.geometry,
            Arranged {
                op: Arc::new(Conv2dInputGrad { geometry, input_size: self.input_size }),
                inputs: vec![Some(CHANNELS_LAST.to_vec()), Some(WEIGHT_LAST.to_vec())],
                output: Some(CHANNELS_LAST.to_vec()),
            },
        )
    }

    fn scratch(&self, inputs: &[&[usize]], output: &[usize]) -> usize {
        channels_last::scratch(self.geometry.layout, inputs, output)
            + input_grad_scratch(&self.known(inputs[0], inputs[1]))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, call: Call<'_>) {
        let s = self.known(call.inputs[0].shape, call.inputs[1].shape);
        let axes = [CHANNELS_LAST, WEIGHT_LAST, CHANNELS_LAST];
        channels_last::run(self.geometry.layout, axes, self.accumulates(), call, |dy, w, dx, scratch| {
            input_grad(Level::current(), &s, dy, w, dx, scratch);
        });
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        product::form(Pass::InputGrad, self.geometry.layout, &self.known(&inputs[0].shape, &inputs[1].shape), false)
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        flops(&self.known(inputs[0], inputs[1]))
    }
}
