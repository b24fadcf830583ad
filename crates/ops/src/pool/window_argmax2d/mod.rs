//! Which pixel of each window is the largest.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Arranged, Call, DType, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::{Images, Window, permuted, samples};
use crate::pool::gpu;
use crate::reduce::extremum::stays;
use crate::reduce::max::Max;
use crate::support::operands;

/// `window_argmax2d`: `[n, c, h, w]` to i32 `[n, c, oh, ow]`, the place of the largest pixel in its window, row by row: of equals the
/// first, and the first NaN if there is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowArgmax2d(pub Window);

impl WindowArgmax2d {
    fn fill<T: PartialOrd + Copy>(&self, image: Images, x: &[T], mut put: impl FnMut(usize, usize)) {
        let [rows, columns] = self.0.kernel;
        self.0.each_value(image, |first, at| {
            let (mut best, mut value) = (0, x[first]);
            for (tap, y, column) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y * columns + x, y, x))) {
                let here = x[first + (y * image.w + column) * image.inner];
                if !stays::<Max, T>(value, here) {
                    (best, value) = (tap, here);
                }
            }
            put(at, best);
        });
    }
}

impl Op for WindowArgmax2d {
    fn name(&self) -> &'static str {
        "window_argmax2d"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        let windows = self.0.windows(x)?;
        Ok(Spec::new(self.0.resized(&x.shape, windows), DType::I32))
    }

    fn vjp(&self, _v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut taps = vec![0.0; output.len()];
        self.fill(self.0.images(inputs[0].shape()), &x, |at, tap| taps[at] = tap as f64);
        ArrayD::from_shape_vec(output.shape.clone(), taps).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 1, |w| Arc::new(WindowArgmax2d(w)))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (x, taps) = (call.inputs[0], call.output.i32());
        self.fill(self.0.images(x.shape), x.f32(), |at, tap| taps[at] = tap as i32);
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let kernel =
            Kernel::new("largest of windows", include_str!("argmax.wgsl")).with(include_str!("../windows.wgsl"));
        let operands = [Argument::Input(0), Argument::Output];
        Ok(gpu::form(kernel, &self.0, &inputs[0].shape, output.len(), &operands))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}
