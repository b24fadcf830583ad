//! What float32 does to the logits of a network: a bound of |computed - exact| at an input and in a ball around it.
use std::f64::consts::SQRT_2;

use crate::error::{Error, Result};
use crate::network::{RoundedLayer, Step, check};
use crate::radius::Slack;
use crate::rounding::{add_up, div_down, gamma_of, mul_up, norm_up, sqrt_up, sub_down};

/// The unit roundoff of float32, 2^-24.
const UNIT32: f64 = f32::EPSILON as f64 / 2.0;
/// Four times the smallest normal float32: subnormal operands and results count as zero in the engine, each of which
/// costs less than 2^-126, and later roundings at most double what earlier operations have lost.
const FLUSHED: f64 = 4.0 * f32::MIN_POSITIVE as f64;
/// Below half the largest float32, and so with every rounding below it: no sum overflows.
const LARGEST: f64 = f32::MAX as f64 / 4.0;

/// What a slack is of: a result of the network by itself, or the difference of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A result, which is off by no more than all results together.
    Result,
    /// A difference of two results, which is off by at most sqrt(2) times that.
    Difference,
}

impl Claim {
    fn factor(self) -> f64 {
        match self {
            Claim::Result => 1.0,
            Claim::Difference => SQRT_2.next_up(),
        }
    }
}

/// What float32 rounding may do to what is claimed of the logits, the last value of the network, in the ball around each sample.
///
/// `squares` has for each sample the sum of squares, in float32 and any order, of every computed value, that of the input
/// first: `[samples, steps + 1]`. `pixel_roundings` is the N of the input: of a division by 255 where pixels were bytes,
/// else 0; `inputs` are the numbers of a sample.
///
/// Proof. Let h be the exact and ĥ the computed input of a layer. The result is off by at most
/// e' = L e + gamma_N (G ‖ĥ‖ + offset) + flushed, with ‖ĥ - h‖ <= e and G at least L and the gain of partial sums. At the sample itself ‖ĥ‖ is known. At a distance of
/// r, with P the Lipschitz bound from the input to h, ‖ĥ(r)‖ <= ‖ĥ(0)‖ + e(0) + e(r) + P r. So e(r) is at most a + b r with
/// the a and b that this recursion gives, and a logit, read at the sample and at distance r, is off by at most e(0) + a + b r, the
/// difference of two by sqrt(2) times that. What is flushed: N + 2 results of operations and as many products for each result, the
/// operands h and, of the operator that the layer is, at most N + 1 numbers a result. These meet a patch of h, in which
/// `copies` places may show the same number, so that its norm is at most sqrt(copies) ‖h‖.
///
/// A sum of k values is off by the sum of what they are off by and gamma_(k - 1) times the sum of their norms; values side by
/// side by the root of the sum of squares (Minkowski's inequality for lines a + b r).
///
/// Why a sum of n terms has gamma_N with a bound of the norms of parts of the operator, not that of its absolute values, is in
/// `docs/certificates.md`. Errors: `INVALID_ARGUMENT` for numbers that are no such bounds, `SHAPE_MISMATCH` where
/// `squares` does not fit.
pub fn forward_slack(
    steps: &[Step],
    inputs: usize,
    squares: &[f64],
    pixel_roundings: usize,
    claim: Claim,
) -> Result<Vec<Slack>> {
    Ok(rows(steps, squares)?.map(|row| of_all(&computed(steps, inputs, row, pixel_roundings), claim)).collect())
}

/// The same, and that by the rows w_i of the last step, where that is a linear layer W of which they are known, so that its spreads are ‖w_i‖ of a
/// result and ‖w_y - w_i‖ of a difference: what enters it is off by e as of [`forward_slack`], by which a result or difference is off by its spread
/// times e, and by what the layer itself rounds, of two results at most sqrt(2) times the bound for all together. `INVALID_ARGUMENT` where the
/// last step is no layer.
pub fn forward_slack_by_rows(
    steps: &[Step],
    inputs: usize,
    squares: &[f64],
    pixel_roundings: usize,
    claim: Claim,
) -> Result<(Vec<Slack>, Vec<Slack>)> {
    let Some(Step::Layer { from, layer }) = steps.last() else {
        return Err(Error::argument("rows are those of a linear layer; the last step is none"));
    };
    let by_rows = |values: &[Computed]| {
        let (entering, reach) = (&values[*from], values[steps.len()].reach);
        let own = rounded_by(entering, layer);
        let before = Line { fixed: add_up(entering.here, entering.ball.fixed), slope: entering.ball.slope };
        known(claimed(own.here, own.ball, claim), before, reach)
    };
    let both = |row: &[f64]| {
        let values = computed(steps, inputs, row, pixel_roundings);
        (of_all(&values, claim), by_rows(&values))
    };
    Ok(rows(steps, squares)?.map(both).unzip())
}

/// The sums of squares of each sample.
fn rows<'a>(steps: &[Step], squares: &'a [f64]) -> Result<std::slice::ChunksExact<'a, f64>> {
    check(steps)?;
    if !squares.len().is_multiple_of(steps.len() + 1) {
        return Err(Error::shape(format!(
            "{} sums of squares cannot be rows of {}, one for the input and one for each step",
            squares.len(),
            steps.len() + 1
        )));
    }
    Ok(squares.chunks_exact(steps.len() + 1))
}

/// By what holds of all results together.
fn of_all(values: &[Computed], claim: Claim) -> Slack {
    let &Computed { here, ball, reach, .. } = values.last().unwrap_or_else(|| unreachable!("the input is a value"));
    known(claimed(here, ball, claim), Line { fixed: 0.0, slope: 0.0 }, reach)
}

/// What claims nothing.
const UNKNOWN: Slack = Slack { fixed: 0.0, per_radius: 0.0, spread_fixed: 0.0, spread_per_radius: 0.0, reach: 0.0 };

/// The error of what is claimed, read at the sample and in the ball.
fn claimed(here: f64, ball: Line, claim: Claim) -> Line {
    Line { fixed: add_up(here, ball.fixed), slope: ball.slope }.times(claim.factor())
}

fn known(of_results: Line, before: Line, reach: f64) -> Slack {
    let slack = Slack {
        fixed: of_results.fixed,
        per_radius: of_results.slope,
        spread_fixed: before.fixed,
        spread_per_radius: before.slope,
        reach,
    };
    let finite = [of_results, before].iter().all(|line| line.fixed.is_finite() && line.slope.is_finite());
    if finite && reach > 0.0 { slack } else { UNKNOWN }
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

/// A computed value of the network, at the sample and in the ball around it.
#[derive(Clone, Copy)]
struct Computed {
    /// At least its norm at the sample.
    norm: f64,
    /// At least its error at the sample.
    here: f64,
    /// At least its error in the ball.
    ball: Line,
    /// At least the Lipschitz constant of the exact value as a function of the input.
    product: f64,
    /// The largest radius for which no number on the way to it can overflow.
    reach: f64,
    /// How many numbers it has.
    size: usize,
}

impl Computed {
    /// At least its norm in the ball.
    fn around(&self) -> Line {
        Line { fixed: add_up(self.norm, self.here), slope: self.product }.plus(self.ball)
    }

    /// The same value where numbers of this size occur on the way to it.
    fn limited(self, largest: Line) -> Computed {
        let room = sub_down(LARGEST, largest.fixed);
        let reach = match room > 0.0 {
            true if largest.slope > 0.0 => div_down(room, largest.slope),
            true => f64::INFINITY,
            // Also where the bound is no number.
            false => 0.0,
        };
        Computed { reach: self.reach.min(reach), ..self }
    }
}

/// The input and the value of each step.
fn computed(steps: &[Step], inputs: usize, squares: &[f64], pixel_roundings: usize) -> Vec<Computed> {
    let norm = norm_upper(squares[0], inputs);
    let given = gamma_of(pixel_roundings, UNIT32);
    let here = add_up(mul_up(given, norm), mul_up(FLUSHED, root_of(inputs)));
    let ball = Line { fixed: here, slope: given };
    let mut values = vec![Computed { norm, here, ball, product: 1.0, reach: f64::INFINITY, size: inputs }];
    for (step, &square) in steps.iter().zip(&squares[1..]) {
        let value = match step {
            Step::Layer { from, layer } => after_layer(&values[*from], layer),
            Step::Sum { from } => sum_of(from.iter().map(|&i| values[i])),
            Step::Concat { from } => side_by_side(from.iter().map(|&i| values[i])),
        };
        // The computed result is near its exact value for the computed input, also where its squares have overflowed.
        values.push(Computed { norm: norm_upper(square, value.size).min(value.norm), ..value });
    }
    values
}

/// What a layer adds to the error of a value.
struct Rounded {
    /// At least its norm at the sample.
    here: f64,
    /// At least its norm in the ball.
    ball: Line,
    /// At least the norm of the result at the sample.
    norm: f64,
    /// The largest numbers on the way in the ball.
    largest: Line,
}

fn rounded_by(entering: &Computed, layer: &RoundedLayer) -> Rounded {
    let &RoundedLayer { lipschitz, roundings, offset, peak, copies, lost: more, results, .. } = layer;
    let gain = layer.rounded_gain();
    let gamma = gamma_of(roundings, UNIT32);
    // What is flushed is a number and a part of the norm of what goes in.
    let operations = mul_up(add_up(roundings as f64, 2.0), root_of(results));
    let lost = add_up(mul_up(FLUSHED, add_up(operations, mul_up(gain, root_of(entering.size)))), more);
    let read = mul_up(root_of(roundings.saturating_add(1)), root_of(copies));
    let lost_part = mul_up(FLUSHED, mul_up(root_of(results), read));
    let largest = |of: Line, factor: f64| of.times(factor).plus(Line { fixed: offset, slope: 0.0 });
    let rounded =
        |of: Line| largest(of, gain).times(gamma).plus(of.times(lost_part)).plus(Line { fixed: lost, slope: 0.0 });
    let around = entering.around();
    let at = Line { fixed: entering.norm, slope: 0.0 };
    let of_result = add_up(largest(at, lipschitz).fixed, mul_up(gamma, largest(at, gain).fixed));
    Rounded {
        here: rounded(at).fixed,
        ball: rounded(around),
        norm: add_up(of_result, add_up(lost, mul_up(lost_part, entering.norm))),
        largest: largest(around, gain.max(peak)),
    }
}

fn after_layer(entering: &Computed, layer: &RoundedLayer) -> Computed {
    let &RoundedLayer { lipschitz, results, .. } = layer;
    let Rounded { here, ball, norm, largest } = rounded_by(entering, layer);
    Computed {
        norm,
        here: add_up(mul_up(entering.here, lipschitz), here),
        ball: entering.ball.times(lipschitz).plus(ball),
        product: mul_up(entering.product, lipschitz),
        reach: entering.reach,
        size: results,
    }
    .limited(largest)
}

fn sum_of(terms: impl Iterator<Item = Computed> + Clone) -> Computed {
    let nothing = Line { fixed: 0.0, slope: 0.0 };
    let total = |of: &dyn Fn(&Computed) -> f64| terms.clone().fold(0.0, |sum, term| add_up(sum, of(&term)));
    let lines = |of: &dyn Fn(&Computed) -> Line| terms.clone().fold(nothing, |sum, term| sum.plus(of(&term)));
    let size = terms.clone().map(|term| term.size).max().unwrap_or(0);
    let count = terms.clone().count();
    let gamma = gamma_of(count.saturating_sub(1), UNIT32);
    let lost = mul_up(FLUSHED, mul_up(count as f64, root_of(size)));
    let (norms, around) = (total(&|term| term.norm), lines(&Computed::around));
    Computed {
        norm: add_up(mul_up(norms, add_up(1.0, gamma)), lost),
        here: add_up(total(&|term| term.here), add_up(mul_up(gamma, norms), lost)),
        ball: lines(&|term| term.ball).plus(around.times(gamma)).plus(Line { fixed: lost, slope: 0.0 }),
        product: total(&|term| term.product),
        reach: terms.clone().map(|term| term.reach).fold(f64::INFINITY, f64::min),
        size,
    }
    .limited(around)
}

fn side_by_side(parts: impl Iterator<Item = Computed> + Clone) -> Computed {
    let norm = |of: &dyn Fn(&Computed) -> f64| norm_up(parts.clone().map(|part| of(&part)));
    Computed {
        norm: norm(&|part| part.norm),
        here: norm(&|part| part.here),
        ball: Line { fixed: norm(&|part| part.ball.fixed), slope: norm(&|part| part.ball.slope) },
        product: norm(&|part| part.product),
        reach: parts.clone().map(|part| part.reach).fold(f64::INFINITY, f64::min),
        size: parts.clone().map(|part| part.size).fold(0, usize::saturating_add),
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
