//! The Euclidean norm of each window: 1-Lipschitz where windows do not overlap.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::pool::norm;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Arranged, Call, Measured, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::l2_norm_pool2d_grad::L2NormPool2dGrad;
use super::{Window, permuted, samples};
use crate::pool::gpu;
use crate::support::operands;

/// `l2_norm_pool2d`: `[n, c, h, w]` to `[n, c, oh, ow]`. Its gradient is x / y, and 0 at an all-zero window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct L2NormPool2d(pub Window);

impl Op for L2NormPool2d {
    fn name(&self) -> &'static str {
        "l2_norm_pool2d"
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
        Ok(vec![Some(v.graph.emit(L2NormPool2dGrad(self.0), &[v.inputs[0], v.output, v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        // The square of no f32 leaves the range of f64.
        let (x, image) = (inputs[0].iter().copied().collect::<Vec<f64>>(), self.0.images(inputs[0].shape()));
        let mut y = vec![0.0_f64; output.len()];
        self.0.each_tap(image, |from, to| {
            for i in 0..image.inner {
                y[to + i] += x[from + i].powi(2);
            }
        });
        y.iter_mut().for_each(|sum| *sum = sum.sqrt());
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 1, |w| Arc::new(L2NormPool2d(w)))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Function(Measured::Sqrt, 0.5)
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0];
        norm(Level::current(), &self.0.over(x.shape), x.f32(), call.output.f32());
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(gpu::norm(&self.0, &inputs[0].shape, output.len(), false))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        2 * inputs[0].iter().product::<usize>() as u64
    }
}
