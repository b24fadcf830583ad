//! The sum over each window.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::ops::AddAssign;
use std::sync::Arc;
use tslip_graph::{Arranged, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::{Images, Window, permuted, samples};
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
        let mut attributes = json!(self.0);
        attributes["inputSize"] = json!([image.h, image.w]);
        Ok(vec![Some(v.graph.emit("window_spread2d", &attributes, &[v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut y = vec![0.0; output.len()];
        add_windows(&self.0, self.0.images(inputs[0].shape()), &x, &mut y);
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 1, |w| Arc::new(WindowSum2d(w)))
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0];
        let y = call.output.f32();
        y.fill(0.0);
        add_windows(&self.0, self.0.images(x.shape), x.f32(), y);
    }
}

fn add_windows<T: AddAssign + Copy>(window: &Window, image: Images, x: &[T], y: &mut [T]) {
    window.each_tap(image, |from, to| {
        let part = &x[from..from + image.inner];
        y[to..to + image.inner].iter_mut().zip(part).for_each(|(sum, v)| *sum += *v);
    });
}
