//! Adds the value of each window to one of its pixels: the adjoint of taking it.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::window_take2d::WindowTake2d;
use super::{Window, permuted, samples};
use crate::pool::gpu;
use crate::support::{need, operands};

/// `window_put2d`: values `[n, c, oh, ow]` and places in windows, i32 of their shape, to `[n, c, *inputSize]`. Values whose place is outside
/// the window are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowPut2d {
    /// The windows.
    #[serde(flatten)]
    pub window: Window,
    /// Rows and columns of the image.
    pub input_size: [usize; 2],
}

impl Op for WindowPut2d {
    fn name(&self) -> &'static str {
        "window_put2d"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [y, taps] = operands(inputs)?;
        need(y, DType::F32)?;
        need(taps, DType::I32)?;
        if taps.shape != y.shape {
            return Err(Error::shape(format!("places must be of shape {:?}, one for each value", y.shape)));
        }
        Ok(Spec::f32(self.window.image_of(y, self.input_size)?))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.emit(WindowTake2d(self.window), &[v.cotangent, v.inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let (y, taps): (Vec<f64>, Vec<f64>) =
            (inputs[0].iter().copied().collect(), inputs[1].iter().copied().collect());
        let mut x = vec![0.0; output.len()];
        let image = self.window.images(&output.shape);
        self.window.each_value(image, |first, at| {
            if let Some(offset) = self.window.offset(image, taps[at] as i64) {
                x[first + offset] += y[at];
            }
        });
        ArrayD::from_shape_vec(output.shape.clone(), x).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.window, axes, 2, |window| Arc::new(WindowPut2d { window, input_size: self.input_size }))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let image = self.window.images(call.output.shape);
        let (y, taps, x) = (call.inputs[0].f32(), call.inputs[1].i32(), call.output.f32());
        x.fill(0.0);
        self.window.each_value(image, |first, at| {
            if let Some(offset) = self.window.offset(image, i64::from(taps[at])) {
                x[first + offset] += y[at];
            }
        });
    }

    fn gpu(&self, _inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let kernel =
            Kernel::new("pixels of windows, gradient", include_str!("put.wgsl")).with(include_str!("../windows.wgsl"));
        let operands = [Argument::Input(0), Argument::Input(1), Argument::Output];
        Ok(gpu::form(kernel, &self.window, &output.shape, output.len(), &operands))
    }
}
