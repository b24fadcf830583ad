//! What float32 does to the logits of a network: a bound of |computed - exact| at an input and in a ball around it.
use std::f64::consts::SQRT_2;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::radius::Slack;
use crate::rounding::{add_up, div_down, gamma_of, mul_up, sqrt_up, sub_down};

/// The unit roundoff of float32, 2^-24.
const UNIT32: f64 = f32::EPSILON as f64 / 2.0;
/// Four times the smallest normal float32: subnormal operands and results count as zero in the engine, each of which
/// costs less than 2^-126, and later roundings at most double what earlier operations have lost.
const FLUSHED: f64 = 4.0 * f32::MIN_POSITIVE as f64;
/// Below half the largest float32, and so with every rounding below it: no sum overflows.
const LARGEST: f64 = f32::MAX as f64 / 4.0;

/// How the float32 result of one layer differs from the exact function f of the values that it is given.
///
/// The layer promises ‖fl(f(x)) - f(x)‖ <= gamma_N (L ‖x‖ + offset), where gamma_N = N u / (1 - N u), but for operands and
/// results that are flushed to zero; and that it takes at most N + 2 operations a result, not counting products.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoundedLayer {
    /// L: an upper bound of the Lipschitz constant of f.
    pub lipschitz: f64,
    /// N, 0 for layers that only move, choose or drop values.
    pub roundings: usize,
    /// At least ‖f(0)‖.
    pub offset: f64,
    /// At least 0, so that each number on the way to the result is at most `peak` ‖x‖ + offset where that is more than
    /// L ‖x‖ + offset: 1 for norms that are scaled down afterwards.
    #[serde(default)]
    pub peak: f64,
    /// Most places at which one result reads the same input: 1 but for padding that copies pixels.
    #[serde(default = "one")]
    pub copies: usize,
    /// Numbers that go in for one sample.
    pub inputs: usize,
    /// Numbers that come out.
    pub results: usize,
}

fn one() -> usize {
    1
}

/// What float32 rounding may do to a difference of two logits of the chain of `layers`, in the ball around each sample.
///
/// `squares` has for each sample the sum of squares, in float32 and any order, of the computed input of each layer, and
/// of the logits: `[samples, layers + 1]`. `pixel_roundings` is the N of what enters the first layer: of a division by 255
/// where pixels were bytes, else 0.
///
/// Proof. Let h be the exact and ĥ the computed input of a layer. The result is off by at most
/// e' = L e + gamma_N (L ‖ĥ‖ + offset) + flushed, with ‖ĥ - h‖ <= e. At the sample itself ‖ĥ‖ is known. At a distance of
/// r, with P the product of the L so far, ‖ĥ(r)‖ <= ‖ĥ(0)‖ + e(0) + e(r) + P r. So e(r) is at most a + b r with the a and b
/// that this recursion gives, and the difference of two logits, read at the sample and at distance r, is off by at most
/// sqrt(2) (e(0) + a + b r). What is flushed: N + 2 results of operations and as many products for each result, the
/// operands h and, of the operator that the layer is, at most N + 1 numbers a result. These meet a patch of h, in which
/// `copies` places may show the same number, so that its norm is at most sqrt(copies) ‖h‖.
///
/// Why a sum of n terms has gamma_N with the norm of the operator, not that of its absolute values, is in
/// `docs/certificates.md`. Errors: `INVALID_ARGUMENT` for numbers that are no such bounds, `SHAPE_MISMATCH` where
/// `squares` does not fit.
pub fn forward_slack(layers: &[RoundedLayer], squares: &[f64], pixel_roundings: usize) -> Result<Vec<Slack>> {
    for (i, layer) in layers.iter().enumerate() {
        let &RoundedLayer { lipschitz, offset, peak, copies, .. } = layer;
        if [lipschitz, offset, peak].iter().any(|v| !(v.is_finite() && *v >= 0.0)) || copies == 0 {
            return Err(Error::argument(format!(
                "layer {i} has the Lipschitz bound {lipschitz}, the offset {offset}, the peak {peak} and {copies} copies; \
                 give finite bounds that are not negative, and at least 1 copy"
            )));
        }
    }
    if !squares.len().is_multiple_of(layers.len() + 1) {
        return Err(Error::shape(format!(
            "{} sums of squares cannot be rows of {}, one for each layer and one for the logits",
            squares.len(),
            layers.len() + 1
        )));
    }
    Ok(squares.chunks_exact(layers.len() + 1).map(|row| slack(layers, row, pixel_roundings)).collect())
}

/// A number that grows with the radius: `fixed + slope r`.
#[derive(Clone, Copy)]
struct Line {
    fixed: f64,
    slope: f64,
}

impl Line {
    fn plus(self, other: Line) -> Line {
        Line { fixed: add_up(self.fixed, other.fixed), slope: add_up(self.slope, other.slope) }
    }

    fn times(self, factor: f64) -> Line {
        Line { fixed: mul_up(self.fixed, factor), slope: mul_up(self.slope, factor) }
    }
}

fn slack(layers: &[RoundedLayer], squares: &[f64], pixel_roundings: usize) -> Slack {
    let inputs = layers.first().map_or(1, |layer| layer.inputs);
    let mut norm = norm_upper(squares[0], inputs);
    let given = gamma_of(pixel_roundings, UNIT32);
    let flushed = mul_up(FLUSHED, root_of(inputs));
    // The error at the sample, and in the ball.
    let mut here = add_up(mul_up(given, norm), flushed);
    let mut ball = Line { fixed: here, slope: given };
    let (mut reach, mut product) = (f64::INFINITY, 1.0);
    for (layer, &square) in layers.iter().zip(&squares[1..]) {
        let &RoundedLayer { lipschitz, roundings, offset, peak, copies, inputs, results } = layer;
        let gamma = gamma_of(roundings, UNIT32);
        // What is flushed is a number and a part of the norm of what goes in.
        let operations = mul_up(add_up(roundings as f64, 2.0), root_of(results));
        let lost = mul_up(FLUSHED, add_up(operations, mul_up(lipschitz, root_of(inputs))));
        let read = mul_up(root_of(roundings.saturating_add(1)), root_of(copies));
        let lost_part = mul_up(FLUSHED, mul_up(root_of(results), read));
        let step = |error: Line, entering: Line| {
            let largest = entering.times(lipschitz).plus(Line { fixed: offset, slope: 0.0 });
            let rounded = largest.times(gamma).plus(entering.times(lost_part)).plus(Line { fixed: lost, slope: 0.0 });
            (error.times(lipschitz).plus(rounded), largest)
        };
        let around = Line { fixed: add_up(norm, here), slope: product }.plus(ball);
        let (next, largest) = step(ball, around);
        let largest = if peak > lipschitz { around.times(peak).plus(Line { fixed: offset, slope: 0.0 }) } else { largest };
        let room = sub_down(LARGEST, largest.fixed);
        if room.is_nan() || room <= 0.0 {
            return Slack { reach: 0.0, ..Slack::default() };
        }
        reach = if largest.slope > 0.0 { reach.min(div_down(room, largest.slope)) } else { reach };
        ball = next;
        let (next, largest) = step(Line { fixed: here, slope: 0.0 }, Line { fixed: norm, slope: 0.0 });
        here = next.fixed;
        product = mul_up(product, lipschitz);
        // The computed result is near its exact value for the computed input, also where its squares have overflowed.
        let rounded = add_up(mul_up(largest.fixed, add_up(1.0, gamma)), add_up(lost, mul_up(lost_part, norm)));
        norm = norm_upper(square, results).min(rounded);
    }
    let both = SQRT_2.next_up();
    let (fixed, per_radius) = (mul_up(both, add_up(here, ball.fixed)), mul_up(both, ball.slope));
    if fixed.is_finite() && per_radius.is_finite() {
        Slack { fixed, per_radius, reach }
    } else {
        Slack { reach: 0.0, ..Slack::default() }
    }
}

/// At least the norm of `count` float32 numbers whose squares were added up in float32: every term is positive, so that
/// the sum is low by at most a part gamma_(count + 1) of it, and by what was flushed.
fn norm_upper(square: f64, count: usize) -> f64 {
    if !(square.is_finite() && square >= 0.0) {
        return f64::INFINITY;
    }
    let rounded = mul_up(square, add_up(1.0, gamma_of(count.saturating_add(2), UNIT32)));
    sqrt_up(add_up(rounded, mul_up(FLUSHED, count as f64)))
}

fn root_of(count: usize) -> f64 {
    sqrt_up(count as f64)
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
