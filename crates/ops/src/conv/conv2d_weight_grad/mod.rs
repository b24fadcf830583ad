//! The adjoint of convolution in its weights: a sum over the samples.
use ndarray::{Array4, ArrayD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::conv2d::{ConvShape, weight_grad, weight_grad_scratch};
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::conv2d::Conv2d;
use super::conv2d_input_grad::Conv2dInputGrad;
use super::product::{self, Pass};
use super::{
    CHANNELS_LAST, Geometry, WEIGHT_LAST, arranged, canonical, channels_last, check, each_tap, flops, in_layout,
};

/// `conv2d_weight_grad`: x `[n, c, h, w]`, dy `[n, o, oh, ow]` to `[o, c / groups, *kernelSize]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conv2dWeightGrad {
    /// The convolution it belongs to.
    #[serde(flatten)]
    pub geometry: Geometry,
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
}

impl Conv2dWeightGrad {
    fn shape(&self, x: &[usize], dy: &[usize]) -> Result<ConvShape> {
        let ([n, cin, h, w], [samples, cout, oh, ow]) = (self.geometry.data(x), self.geometry.data(dy));
        let weight = [cout, cin / self.geometry.groups.max(1), self.kernel_size[0], self.kernel_size[1]];
        let s = self.geometry.shape([n, cin, h, w], weight)?;
        if (samples, oh, ow) != (n, s.out_h(), s.out_w()) {
            return Err(Error::shape(format!(
                "{n} images of {h}x{w} convolved with a kernel of {:?} give {n} of {}x{}, not {samples} of {oh}x{ow}",
                self.kernel_size,
                s.out_h(),
                s.out_w()
            )));
        }
        Ok(s)
    }

    fn known(&self, x: &[usize], dy: &[usize]) -> ConvShape {
        self.shape(x, dy).unwrap_or_else(|e| unreachable!("these shapes were inferred before: {e}"))
    }
}

impl Op for Conv2dWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        check(inputs)?;
        let s = self.shape(&inputs[0].shape, &inputs[1].shape)?;
        Ok(Spec::f32(self.geometry.weight_shape([s.cout, s.cin / s.groups, s.kh, s.kw])))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (x, dy) = (v.inputs[0], v.inputs[1]);
        let [_, _, h, w] = self.geometry.data(v.graph.shape(x));
        let of_dy = v.graph.emit(Conv2d(self.geometry.clone()), &[x, v.cotangent])?;
        let input_grad = Conv2dInputGrad { geometry: self.geometry.clone(), input_size: [h, w] };
        let of_x = v.graph.emit(input_grad, &[dy, v.cotangent])?;
        Ok(vec![Some(of_x), Some(of_dy)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        let (s, layout) = (self.known(inputs[0].shape(), inputs[1].shape()), self.geometry.layout);
        let (x, dy) = (canonical(inputs[0], layout, &CHANNELS_LAST), canonical(inputs[1], layout, &CHANNELS_LAST));
        let mut dw = Array4::zeros([s.cout, s.cin / s.groups, s.kh, s.kw]);
        each_tap(&s, |at_y, at_x, at_w| dw[at_w] += dy[at_y] * x[at_x]);
        in_layout(dw, layout, &WEIGHT_LAST)
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        if inputs.iter().all(|o| o.spec.shape[0] == inputs[0].spec.shape[0]) {
            Samples::Sum { sliced: vec![true, true] }
        } else {
            Samples::Whole
        }
    }

    fn arranged(&self, _inputs: &[&Spec]) -> Option<Arranged> {
        let geometry = self.geometry.channels_last();
        arranged(
            &self.geometry,
            Arranged {
                op: Arc::new(Conv2dWeightGrad { geometry, kernel_size: self.kernel_size }),
                inputs: vec![Some(CHANNELS_LAST.to_vec()), Some(CHANNELS_LAST.to_vec())],
                output: Some(WEIGHT_LAST.to_vec()),
            },
        )
    }

    fn scratch(&self, inputs: &[&[usize]], output: &[usize]) -> usize {
        channels_last::scratch(self.geometry.layout, inputs, output)
            + weight_grad_scratch(&self.known(inputs[0], inputs[1]))
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, call: Call<'_>) {
        let s = self.known(call.inputs[0].shape, call.inputs[1].shape);
        let axes = [CHANNELS_LAST, CHANNELS_LAST, WEIGHT_LAST];
        channels_last::run(self.geometry.layout, axes, self.accumulates(), call, |x, dy, dw, scratch| {
            weight_grad(Level::current(), &s, x, dy, dw, scratch);
        });
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        product::form(Pass::WeightGrad, self.geometry.layout, &self.known(&inputs[0].shape, &inputs[1].shape), false)
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        flops(&self.known(inputs[0], inputs[1]))
    }
}
