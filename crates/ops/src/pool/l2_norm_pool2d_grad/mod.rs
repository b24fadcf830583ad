//! The gradient of the norm over windows: x times the spread of cotangent / y, zero where y is.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::pool::norm_grad;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{
    Accuracy, Arranged, Call, DType, Error, Graph, Measured, NodeId, Op, Operand, Result, Samples, Spec, Vjp,
};

use super::window_spread2d::WindowSpread2d;
use super::window_sum2d::WindowSum2d;
use super::{Window, permuted, samples};
use crate::emit::Emit;
use crate::pool::gpu;
use crate::support::operands;

/// `l2_norm_pool2d_grad`: x `[n, c, h, w]`, y and its cotangent `[n, c, oh, ow]` to the shape of x.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct L2NormPool2dGrad(pub Window);

impl Op for L2NormPool2dGrad {
    fn name(&self) -> &'static str {
        "l2_norm_pool2d_grad"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, y, dy] = operands(inputs)?;
        let windows = self.0.windows(x)?;
        let pooled = self.0.resized(&x.shape, windows);
        if y.dtype != DType::F32 || dy.dtype != DType::F32 {
            return Err(Error::dtype("y and dy must be f32"));
        }
        if y.shape != pooled || dy.shape != pooled {
            return Err(Error::shape(format!("y and dy must be of shape {pooled:?}, one value for each window of x")));
        }
        Ok(x.clone())
    }

    /// With r = dy / y (0 where y is 0) the result is x * spread(r).
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (x, y, dy) = (v.inputs[0], v.inputs[1], v.inputs[2]);
        let g = v.graph;
        let image = self.0.images(g.shape(x));
        let moments = g.mul(v.cotangent, x)?;
        let moments = g.emit(WindowSum2d(self.0), &[moments])?;
        let of_dy = quotient(g, moments, y)?;
        let ratio = quotient(g, dy, y)?;
        let spread = g.emit(WindowSpread2d { window: self.0, input_size: [image.h, image.w] }, &[ratio])?;
        let of_x = g.mul(v.cotangent, spread)?;
        let of_y = g.mul(of_dy, ratio)?;
        let of_y = g.neg(of_y)?;
        Ok(vec![Some(of_x), Some(of_y), Some(of_dy)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let flat = |a: &ArrayD<f64>| -> Vec<f64> { a.iter().copied().collect() };
        let (x, y, dy) = (flat(inputs[0]), flat(inputs[1]), flat(inputs[2]));
        let image = self.0.images(&output.shape);
        let mut dx = vec![0.0; output.len()];
        self.0.each_tap(image, |pixel, window| {
            for i in 0..image.inner {
                if y[window + i] != 0.0 {
                    dx[pixel + i] += x[pixel + i] / y[window + i] * dy[window + i];
                }
            }
        });
        ArrayD::from_shape_vec(output.shape.clone(), dx).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 3, |w| Arc::new(L2NormPool2dGrad(w)))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Function(Measured::Division, 0.5)
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (x, y, dy) = (call.inputs[0], call.inputs[1].f32(), call.inputs[2].f32());
        norm_grad(Level::current(), &self.0.over(x.shape), x.f32(), y, dy, call.output.f32());
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(gpu::norm_grad(&self.0, &inputs[0].shape, output.len(), false))
    }

    fn flops(&self, _inputs: &[&[usize]], output: &[usize]) -> u64 {
        output.iter().product::<usize>() as u64
    }
}

/// a / b, and 0 where b is 0.
fn quotient(g: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let zero = g.scalar(0.0)?;
    let one = g.scalar(1.0)?;
    let is_zero = g.equal(b, zero)?;
    let divisor = g.select(is_zero, one, b)?;
    let ratio = g.div(a, divisor)?;
    g.select(is_zero, zero, ratio)
}
