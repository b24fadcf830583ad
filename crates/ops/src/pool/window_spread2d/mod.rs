//! Gives each pixel the sum of the values of the windows that hold it: the adjoint of the sum over windows.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::pool::sum_grad;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, DType, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::window_sum2d::WindowSum2d;
use super::{Window, permuted, samples};
use crate::pool::gpu;
use crate::support::{need, operands};

/// `window_spread2d`: `[n, c, oh, ow]` to `[n, c, *inputSize]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowSpread2d {
    /// The windows.
    #[serde(flatten)]
    pub window: Window,
    /// Rows and columns of the image.
    pub input_size: [usize; 2],
}

impl Op for WindowSpread2d {
    fn name(&self) -> &'static str {
        "window_spread2d"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [y] = operands(inputs)?;
        need(y, DType::F32)?;
        Ok(Spec::f32(self.window.image_of(y, self.input_size)?))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.emit(WindowSum2d(self.window), &[v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let y: Vec<f64> = inputs[0].iter().copied().collect();
        let mut x = vec![0.0; output.len()];
        let image = self.window.images(&output.shape);
        self.window.each_tap(image, |to, from| (0..image.inner).for_each(|i| x[to + i] += y[from + i]));
        ArrayD::from_shape_vec(output.shape.clone(), x).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.window, axes, 1, |window| Arc::new(WindowSpread2d { window, input_size: self.input_size }))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let windows = self.window.over(call.output.shape);
        sum_grad(Level::current(), &windows, call.inputs[0].f32(), call.output.f32());
    }

    fn gpu(&self, _inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let kernel =
            Kernel::new("spread of windows", include_str!("spread.wgsl")).with(include_str!("../windows.wgsl"));
        Ok(gpu::form(kernel, &self.window, &output.shape, output.len(), &[Argument::Input(0), Argument::Output]))
    }
}
