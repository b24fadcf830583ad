//! The Euclidean norm of each window: 1-Lipschitz where windows do not overlap.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::{Arranged, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::{Images, Window, permuted, samples};

/// Sums of squares outside this range may have lost digits to underflow or overflowed; they are done again with the
/// window divided by its largest magnitude.
const SAFE: std::ops::RangeInclusive<f32> = 1e-30..=1e37;

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
        let [x] = inputs else { return Err(Error::argument("one operand is needed")) };
        Ok(Spec::f32(self.0.resized(&x.shape.clone(), self.0.windows(x)?)))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(v.graph.emit("l2_norm_pool2d_grad", &json!(self.0), &[v.inputs[0], v.output, v.cotangent])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let (x, image) = (inputs[0].iter().copied().collect::<Vec<f64>>(), self.0.images(inputs[0].shape()));
        let (mut largest, mut sum) = (vec![0.0_f64; output.len()], vec![0.0_f64; output.len()]);
        self.0.each_tap(image, |from, to| {
            for i in 0..image.inner {
                let magnitude = x[from + i].abs();
                largest[to + i] = if magnitude.is_nan() { magnitude } else { largest[to + i].max(magnitude) };
            }
        });
        self.0.each_tap(image, |from, to| {
            for i in 0..image.inner {
                sum[to + i] += if largest[to + i] > 0.0 { (x[from + i] / largest[to + i]).powi(2) } else { x[from + i] };
            }
        });
        let norm = |(s, m): (f64, f64)| if m.is_infinite() { m } else { m * s.sqrt() };
        let y: Vec<f64> = sum.into_iter().zip(largest).map(norm).collect();
        ArrayD::from_shape_vec(output.shape.clone(), y).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        samples(inputs)
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        permuted(self.0, axes, 1, |w| Arc::new(L2NormPool2d(w)))
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (x, image) = (call.inputs[0].f32(), self.0.images(call.inputs[0].shape));
        let y = call.output.f32();
        y.fill(0.0);
        self.0.each_tap(image, |from, to| {
            let part = &x[from..from + image.inner];
            y[to..to + image.inner].iter_mut().zip(part).for_each(|(sum, v)| *sum += v * v);
        });
        if y.iter().all(|s| SAFE.contains(s)) {
            y.iter_mut().for_each(|s| *s = s.sqrt());
        } else {
            self.carefully(image, x, y);
        }
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        2 * inputs[0].iter().product::<usize>() as u64
    }
}

impl L2NormPool2d {
    /// Turns sums of squares into norms, doing those again that left the safe range.
    fn carefully(&self, image: Images, x: &[f32], y: &mut [f32]) {
        let [oh, ow] = self.0.count([image.h, image.w]).unwrap_or_default();
        for (index, sum) in y.iter_mut().enumerate() {
            if SAFE.contains(sum) || sum.is_nan() {
                *sum = sum.sqrt();
                continue;
            }
            let (window, i) = (index / image.inner, index % image.inner);
            let (n, oy, ox) = (window / (oh * ow), window / ow % oh, window % ow);
            let taps = (0..self.0.kernel[0]).flat_map(|ky| (0..self.0.kernel[1]).map(move |kx| (ky, kx)));
            let at = |(ky, kx)| {
                let (py, px) = (oy * self.0.stride[0] + ky, ox * self.0.stride[1] + kx);
                x[((n * image.h + py) * image.w + px) * image.inner + i]
            };
            // In f64 the squares of all f32 values are normal numbers.
            *sum = taps.map(|t| f64::from(at(t)).powi(2)).sum::<f64>().sqrt() as f32;
        }
    }
}
