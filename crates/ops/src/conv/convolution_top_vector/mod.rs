//! The image that a convolution stretches most, among those of one size.
mod gpu;

use ndarray::{Array2, Array4, ArrayD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_cpu::simd::Level;
use tslip_cpu::spectral::Convolution;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, Graph, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::operator::{Operator, inner, quotient, unit};
use super::{Layout, WEIGHT_LAST, canonical, channels_last, each_tap};
use crate::emit::Emit;
use crate::shape::strided::transpose;
use crate::spectral::eigenvectors;
use crate::support::operands;

/// Steps of conjugate gradients in the derivative; fewer are enough for small images.
const MOST_STEPS: usize = 96;
/// Squared singular values that are nearer to the largest than this share of it count as tied.
const TIED: f64 = 1e-6;

/// `convolution_top_vector`: w `[o, c / groups, kh, kw]` to the right singular vector `[1, c, h, w]` of the largest singular value, of
/// the length of the norm, which is not low where Lanczos' method finds the largest, and at most 1e-3 high, or a little more for images of
/// more than 262,144 numbers; `most` where that is less.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConvolutionTopVector(pub Operator);

impl Op for ConvolutionTopVector {
    fn name(&self) -> &'static str {
        "convolution_top_vector"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [w] = operands(inputs)?;
        self.0.image(w).map(Spec::f32)
    }

    /// Of the direction alone: cotangents are at right angles to the vector where only its direction counts. With the unit vector v,
    /// s = |A v| and z = (s² - AᵀA)^+ g, v moves by (s² - AᵀA)^+ d(AᵀA) v, so <g, dv> = <dA z, A v> + <A z, dA v>.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let Vjp { graph, inputs, output, cotangent } = v;
        let (operator, w) = (&self.0, inputs[0]);
        let [vector, length] = unit(graph, output)?;
        let padded = operator.padded(graph, vector)?;
        let image = operator.windows(graph, padded, w)?;
        let square = inner(graph, image, image)?;
        let z = resolved(graph, operator, w, vector, square, cotangent)?;
        let z = graph.mul(z, length)?;
        let padded_z = operator.padded(graph, z)?;
        let image_z = operator.windows(graph, padded_z, w)?;
        let [first, second] =
            [operator.weight_grad(graph, padded_z, image, w)?, operator.weight_grad(graph, padded, image_z, w)?];
        Ok(vec![Some(graph.add(first, second)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let w = inputs[0];
        let convolution = self.0.convolution(w.shape());
        let (s, n) = (convolution.shape, output.len());
        let [_, channels, height, width] = [0, 1, 2, 3].map(|axis| output.shape[axis]);
        let mut a = Array2::<f64>::zeros([s.cout * s.out_h() * s.out_w(), n]);
        let weight = canonical(w, Layout::Nchw, &WEIGHT_LAST);
        each_tap(&s, |[_, o, oy, ox], [_, c, y, x], at_w| {
            let padded = y * s.w + x;
            let pixel = convolution.copies.as_ref().map_or(padded, |copies| copies[padded]);
            a[[(o * s.out_h() + oy) * s.out_w() + ox, c * height * width + pixel]] += weight[at_w];
        });
        let vectors = eigenvectors(a.t().dot(&a));
        let lengths: Vec<f64> = (a.dot(&vectors)).columns().into_iter().map(|y| y.dot(&y).sqrt()).collect();
        let top = (0..n).fold(0, |best, i| if lengths[i] > lengths[best] { i } else { best });
        let start = |i: usize| f64::from(Convolution::start(i as u32));
        let along: f64 = vectors.column(top).iter().enumerate().map(|(i, v)| v * start(i)).sum();
        let length = (lengths[top] * Convolution::SAFETY).min(f64::from(self.0.most)) * along.signum();
        let image = Array4::from_shape_fn([1, channels, height, width], |(_, c, y, x)| {
            length * vectors[[(c * height + y) * width + x, top]]
        });
        image.into_dyn()
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn scratch(&self, inputs: &[&[usize]], output: &[usize]) -> usize {
        let [w, v] = [inputs[0], output].map(|shape| shape.iter().product::<usize>());
        self.0.convolution(inputs[0]).scratch() + w + v
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let w = call.inputs[0];
        let convolution = self.0.convolution(w.shape);
        let v = call.output.f32();
        let (turned, rest) = call.scratch.split_at_mut(w.f32().len());
        let (image, rest) = rest.split_at_mut(v.len());
        channels_last::permute(w.f32(), w.shape, &WEIGHT_LAST, turned);
        convolution.top_vector(Level::current(), turned, self.0.most, image, rest);
        let pixels = self.0.input_size[0] * self.0.input_size[1];
        transpose(pixels, v.len() / pixels, image, v.len() / pixels, v, pixels);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(gpu::form(&self.0, &inputs[0].shape))
    }

    fn flops(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        let steps = Convolution::most_vectors(output.iter().product());
        super::flops(&self.0.convolution(inputs[0]).shape).saturating_mul(2 * steps as u64)
    }
}

/// (s² - AᵀA)^+ g at right angles to the unit vector v, by conjugate gradients.
fn resolved(graph: &mut Graph, operator: &Operator, w: NodeId, v: NodeId, square: NodeId, g: NodeId) -> Result<NodeId> {
    // Twice as many as without rounding.
    let steps = (2 * graph.shape(v).iter().product::<usize>()).min(MOST_STEPS);
    let least = graph.scale(square, TIED)?;
    let zero = graph.scalar(0.0)?;
    let across = |graph: &mut Graph, x: NodeId| {
        let along = inner(graph, x, v)?;
        let part = graph.mul(v, along)?;
        graph.sub(x, part)
    };
    let mut z = None;
    let mut residual = across(graph, g)?;
    let mut direction = residual;
    let mut squares = inner(graph, residual, residual)?;
    for _ in 0..steps {
        let stretched = graph.mul(direction, square)?;
        let padded = operator.padded(graph, direction)?;
        let image = operator.windows(graph, padded, w)?;
        let back = operator.adjoint(graph, image, w)?;
        let product = graph.sub(stretched, back)?;
        let product = across(graph, product)?;
        let [curvature, length] = [inner(graph, direction, product)?, inner(graph, direction, direction)?];
        let floor = graph.mul(least, length)?;
        let step = quotient(graph, squares, curvature)?;
        let curved = graph.less(floor, curvature)?;
        let step = graph.select(curved, step, zero)?;
        let moved = graph.mul(direction, step)?;
        z = Some(z.map_or(Ok(moved), |z| graph.add(z, moved))?);
        let less = graph.mul(product, step)?;
        residual = graph.sub(residual, less)?;
        let after = inner(graph, residual, residual)?;
        let share = quotient(graph, after, squares)?;
        let kept = graph.mul(direction, share)?;
        direction = graph.add(residual, kept)?;
        squares = after;
    }
    z.map_or_else(|| graph.scale(g, 0.0), Ok)
}
