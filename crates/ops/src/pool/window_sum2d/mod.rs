//! The sum over each window.
// Circle: each is the derivative of the other.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::pool::sum;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::window_spread2d::WindowSpread2d;
use super::{Window, permuted, samples};
use crate::pool::gpu;
use crate::support::operands;

/// `window_sum2d`: `[n, c, h, w]` to `[n, c, (h - kh) / sh + 1, (w - kw) / sw + 1]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowSum2d(pub Window);

impl Op for WindowSum2d {
    fn name(&self) -> &'static str {
        "window_sum2d"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        let windows = self.0.windows(x)?;
        Ok(Spec::f32(self.0.resized(&x.shape, windows)))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let image = self.0.images(v.graph.shape(v.inputs[0]));
        let spread = WindowSpread2d { window: self.0, input_size: [image.h, image.w] };
        Ok(vec![Some(v.graph.emit(spread, &[v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut y = vec![0.0; output.len()];
        let image = self.0.images(inputs[0].shape());
        self.0.each_tap(image, |from, to| (0..image.inner).for_each(|i| y[to + i] += x[from + i]));
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 1, |w| Arc::new(WindowSum2d(w)))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0];
        sum(Level::current(), &self.0.over(x.shape), x.f32(), call.output.f32());
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let kernel = Kernel::new("sums of windows", include_str!("sum.wgsl")).with(include_str!("../windows.wgsl"));
        Ok(gpu::form(kernel, &self.0, &inputs[0].shape, output.len(), &[Argument::Input(0), Argument::Output]))
    }
}
