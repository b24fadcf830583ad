//! Takes one pixel of each window.
// Circle: each is the derivative of the other.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::window_put2d::WindowPut2d;
use super::{Window, permuted, samples};
use crate::pool::gpu;
use crate::support::{need, operands};

/// `window_take2d`: x `[n, c, h, w]` and places in its windows, i32 `[n, c, oh, ow]`, to f32 of their shape. A place outside the window gives 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowTake2d(pub Window);

impl Op for WindowTake2d {
    fn name(&self) -> &'static str {
        "window_take2d"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, taps] = operands(inputs)?;
        let windows = self.0.windows(x)?;
        let pooled = self.0.resized(&x.shape, windows);
        need(taps, DType::I32)?;
        if taps.shape != pooled {
            return Err(Error::shape(format!("places must be of shape {pooled:?}, one for each window of x")));
        }
        Ok(Spec::f32(pooled))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let image = self.0.images(v.graph.shape(v.inputs[0]));
        let put = WindowPut2d { window: self.0, input_size: [image.h, image.w] };
        Ok(vec![Some(v.graph.emit(put, &[v.cotangent, v.inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let (x, taps): (Vec<f64>, Vec<f64>) =
            (inputs[0].iter().copied().collect(), inputs[1].iter().copied().collect());
        let mut y = vec![0.0; output.len()];
        let image = self.0.images(inputs[0].shape());
        self.0.each_value(image, |first, at| {
            if let Some(offset) = self.0.offset(image, taps[at] as i64) {
                y[at] = x[first + offset];
            }
        });
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 2, |w| Arc::new(WindowTake2d(w)))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let image = self.0.images(call.inputs[0].shape);
        let (x, taps, y) = (call.inputs[0].f32(), call.inputs[1].i32(), call.output.f32());
        self.0.each_value(image, |first, at| {
            y[at] = self.0.offset(image, i64::from(taps[at])).map_or(0.0, |offset| x[first + offset]);
        });
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let kernel = Kernel::new("pixels of windows", include_str!("take.wgsl")).with(include_str!("../windows.wgsl"));
        let operands = [Argument::Input(0), Argument::Input(1), Argument::Output];
        Ok(gpu::form(kernel, &self.0, &inputs[0].shape, output.len(), &operands))
    }

    fn flops(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}
