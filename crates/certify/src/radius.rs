//! Certified radii of classifications: the L2 perturbation below which the predicted class cannot change.
use std::f64::consts::SQRT_2;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::rounding::{add_up, div_down, mul_up, sub_down};

/// What is known about the network that gave the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// The vector of logits is L-Lipschitz: a difference of two logits is sqrt(2) L-Lipschitz.
    Generic,
    /// Each logit by itself is L-Lipschitz: a difference is 2 L-Lipschitz.
    Disjoint,
    /// The features are L-Lipschitz and the last layer W is linear: f_y - f_i is L ‖w_y - w_i‖-Lipschitz.
    Pairwise,
}

/// The weight of the last linear layer, `[classes, features]` row-major.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The weight.
    pub weight: &'a [f64],
    /// Columns of it.
    pub features: usize,
}

/// Bounds of float32's rounding in the network, for what is claimed, one result or the difference of two ([`crate::Claim`]): in the ball of
/// radius r around the input `fixed + per_radius r + spread (spread_fixed + spread_per_radius r)`, `spread` being what multiplies L for that
/// result or difference. The default is that of a network evaluated exactly. See [`crate::forward_slack`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// The error of what is claimed at the input and the constant part of its error in the ball, together.
    pub fixed: f64,
    /// The part that grows with the radius.
    pub per_radius: f64,
    /// The part that the head makes of errors of what enters it, by its spread.
    pub spread_fixed: f64,
    /// The part that grows with both.
    pub spread_per_radius: f64,
    /// The largest radius for which this holds: beyond it sums could overflow.
    pub reach: f64,
}

impl Default for Slack {
    fn default() -> Self {
        Slack { fixed: 0.0, per_radius: 0.0, spread_fixed: 0.0, spread_per_radius: 0.0, reach: f64::INFINITY }
    }
}

impl Slack {
    /// Refuses slack that is none, or that of another number of rows.
    pub(crate) fn check(slack: &[Slack], rows: usize) -> Result<()> {
        if let Some(slack) = slack.iter().find(|slack| !slack.is_usable()) {
            return Err(Error::argument(format!("the slack is {slack:?}; its parts must be finite and not negative")));
        }
        if slack.len() != rows {
            return Err(Error::shape(format!(
                "there is slack for {} rows of {rows}; give one entry for each",
                slack.len()
            )));
        }
        Ok(())
    }

    fn is_usable(&self) -> bool {
        let parts = [self.fixed, self.per_radius, self.spread_fixed, self.spread_per_radius];
        parts.iter().all(|v| v.is_finite() && *v >= 0.0) && self.reach >= 0.0
    }

    /// At least what the result or difference of this spread, which is L spread-Lipschitz, may change by within r, as computed: the line
    /// `fixed + slope r`, for r up to `reach`.
    fn line(&self, lipschitz: f64, spread: f64) -> (f64, f64) {
        let fixed = add_up(self.fixed, mul_up(spread, self.spread_fixed));
        let grows = add_up(self.per_radius, mul_up(spread, self.spread_per_radius));
        (fixed, add_up(mul_up(lipschitz, spread), grows))
    }

    /// At least what it may change by within a radius: infinite beyond `reach`.
    pub(crate) fn change(&self, radius: f64, lipschitz: f64, spread: f64) -> f64 {
        // Slack without reach claims nothing, even of the input itself.
        if self.reach == 0.0 || radius > self.reach {
            return f64::INFINITY;
        }
        let (fixed, slope) = self.line(lipschitz, spread);
        add_up(fixed, mul_up(slope, radius))
    }

    /// At most the radius within which it changes by less than `distance`.
    pub(crate) fn radius(&self, distance: f64, lipschitz: f64, spread: f64) -> f64 {
        let (fixed, slope) = self.line(lipschitz, spread);
        let left = sub_down(distance, fixed);
        let radius = match slope {
            0.0 => unbounded_unless_tied(left),
            slope => div_down(left.max(0.0), slope),
        };
        radius.min(self.reach)
    }
}

/// One certificate a row of logits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certificates {
    /// The largest logit, the first of ties.
    pub predicted: Vec<i32>,
    /// The second largest logit, the first of ties; -1 where there is one class.
    pub runner_up: Vec<i32>,
    /// Their difference; infinite where there is one class.
    pub margin: Vec<f64>,
    /// No perturbation of smaller L2 norm changes the prediction.
    pub radius: Vec<f64>,
}

/// The radii as the formulas give them, in float64 rounded to nearest: margin / (sqrt(2) L), margin / (2 L), or the least
/// of (f_y - f_i) / (L ‖w_y - w_i‖) (Tsuzuku et al. 2018; Li et al. 2019; Singla et al. 2022).
///
/// `logits` are `[n, classes]` row-major; `lipschitz` belongs to what `kind` says. A tie has radius 0; a network that
/// cannot tell two classes apart (L = 0 or equal rows of the head) is constant in their difference, so that the radius
/// is infinite unless they tie. Errors: `SHAPE_MISMATCH`, `INVALID_ARGUMENT`, `NON_FINITE`.
pub fn certificate_radius(
    logits: &[f64],
    classes: usize,
    kind: HeadKind,
    lipschitz: f64,
    head: Option<Head<'_>>,
) -> Result<Certificates> {
    check(logits, classes, lipschitz)?;
    let spreads = match (kind, head) {
        (HeadKind::Generic, _) => Spreads::Constant(SQRT_2),
        (HeadKind::Disjoint, _) => Spreads::Constant(2.0),
        (HeadKind::Pairwise, Some(head)) => Spreads::Pairs(head.distances(classes)?),
        (HeadKind::Pairwise, None) => {
            return Err(Error::argument(
                "kind pairwise needs the head: the weight [classes, features] of the last layer",
            ));
        }
    };
    let ratio = |_, top: f64, other: f64, spread: f64| match lipschitz * spread {
        0.0 => unbounded_unless_tied(top - other),
        constant => ((top - other) / constant).max(0.0),
    };
    Ok(certificates(logits, classes, &spreads, ratio))
}

/// The radii as claims: every operation rounded so that no radius is too large, and `slack` taken off.
///
/// The largest r up to slack.reach with f_y - f_i - slack at r >= L s_yi r for every i, where `lipschitz` is a proved upper bound, `spreads`
/// has s_yi or more, so that L s_yi is a bound of the Lipschitz constant of f_y - f_i, and `slack` has an entry for each row. Logits
/// are taken as they are given; `slack` says how far their differences may be off. A margin within the slack has radius 0. Errors as of
/// [`certificate_radius`], `SHAPE_MISMATCH` where slack or spreads do not fit and `INVALID_ARGUMENT` where they are negative or not finite.
pub fn certificate_radius_rounded_down(
    logits: &[f64],
    classes: usize,
    lipschitz: f64,
    spreads: &Spreads,
    slack: &[Slack],
) -> Result<Certificates> {
    check(logits, classes, lipschitz)?;
    spreads.check(classes)?;
    Slack::check(slack, logits.len() / classes)?;
    let ratio =
        |row: usize, top: f64, other: f64, spread: f64| slack[row].radius(sub_down(top, other), lipschitz, spread);
    Ok(certificates(logits, classes, spreads, ratio))
}

/// For each class, `[n, classes]`, at least how far its logit can be above the largest other one at any point within `radius`, as computed in
/// float32 and in exact arithmetic: the least over all other i of f_y - f_i + slack + L s_yi radius, rounded up. Where it is negative the
/// class is none that the network can tell there. Infinite beyond the reach of the slack, and of one class. Errors as of
/// [`certificate_radius_rounded_down`], and `INVALID_ARGUMENT` for a radius that is negative or not finite.
pub fn leads_rounded_up(
    logits: &[f64],
    classes: usize,
    lipschitz: f64,
    spreads: &Spreads,
    slack: &[Slack],
    radius: f64,
) -> Result<Vec<f64>> {
    check(logits, classes, lipschitz)?;
    check_radius(radius)?;
    spreads.check(classes)?;
    Slack::check(slack, logits.len() / classes)?;
    let mut leads = Vec::with_capacity(logits.len());
    for (row, slack) in logits.chunks_exact(classes).zip(slack) {
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_unstable_by(|&a, &b| row[b].total_cmp(&row[a]));
        leads.extend((0..classes).map(|y| {
            let mut least = f64::INFINITY;
            for &i in order.iter().filter(|&&i| i != y) {
                // What is left is farther below, and changes bring no logit farther from another.
                if sub_down(row[y], row[i]) >= least {
                    break;
                }
                let change = slack.change(radius, lipschitz, spreads.of(y, i, classes));
                least = least.min(add_up(add_up(row[y], -row[i]), change));
            }
            least
        }));
    }
    Ok(leads)
}

/// Refuses a radius that is none.
pub(crate) fn check_radius(radius: f64) -> Result<()> {
    if radius.is_finite() && radius >= 0.0 {
        return Ok(());
    }
    Err(Error::argument(format!("the radius is {radius}; give a finite one, 0 or more")))
}

/// The radius where the difference of two logits does not depend on the input.
fn unbounded_unless_tied(difference: f64) -> f64 {
    if difference > 0.0 { f64::INFINITY } else { 0.0 }
}

/// By how much L is multiplied for the difference of logits y and i.
#[derive(Clone, Debug, PartialEq)]
pub enum Spreads {
    /// The same for each pair of logits.
    Constant(f64),
    /// ‖w_y - w_i‖, `[classes, classes]`.
    Pairs(Vec<f64>),
}

impl Spreads {
    /// Of two logits, where L is a bound for all of them together: at least sqrt(2).
    pub const GENERIC: Spreads = Spreads::Constant(SQRT_2);

    /// Of a linear last layer: the distances of two rows, of those that [`crate::row_distances_upper`] gives.
    pub fn pairwise(distances: &[f64]) -> Result<Spreads> {
        Spreads::of_rows(distances, |rows, y, i| distances[y * rows + i])
    }

    /// The same by the bounds of both logits, each by itself, which is never less: the sum of the norms of both rows.
    pub fn disjoint(distances: &[f64]) -> Result<Spreads> {
        let norm = |rows: usize, i: usize| distances[i * rows + rows - 1];
        Spreads::of_rows(distances, |rows, y, i| if y == i { 0.0 } else { add_up(norm(rows, y), norm(rows, i)) })
    }

    fn of_rows(distances: &[f64], spread: impl Fn(usize, usize, usize) -> f64) -> Result<Spreads> {
        let rows = rows_of(distances)?;
        let classes = rows - 1;
        Ok(Spreads::Pairs((0..classes * classes).map(|at| spread(rows, at / classes, at % classes)).collect()))
    }

    fn of(&self, y: usize, i: usize, classes: usize) -> f64 {
        match self {
            Spreads::Constant(spread) => *spread,
            Spreads::Pairs(pairs) => pairs[y * classes + i],
        }
    }

    /// Those of pairs of `classes` that somebody else has found.
    fn check(&self, classes: usize) -> Result<()> {
        let all = match self {
            Spreads::Constant(spread) => std::slice::from_ref(spread),
            Spreads::Pairs(pairs) => pairs,
        };
        if let Some(spread) = all.iter().find(|spread| !(spread.is_finite() && **spread >= 0.0)) {
            return Err(Error::argument(format!("a distance of rows is {spread}; give finite ones, 0 or more")));
        }
        match self {
            Spreads::Pairs(pairs) if Some(pairs.len()) != classes.checked_mul(classes) => Err(Error::shape(format!(
                "{} distances of rows cannot be those of all pairs of {classes} classes",
                pairs.len()
            ))),
            _ => Ok(()),
        }
    }
}

/// The norm of each row, of the distances that [`crate::row_distances_upper`] gives.
pub fn row_norms(distances: &[f64]) -> Result<Vec<f64>> {
    let rows = rows_of(distances)?;
    Ok((0..rows - 1).map(|i| distances[i * rows + rows - 1]).collect())
}

/// How many rows, the origin among them, are apart by these distances.
fn rows_of(distances: &[f64]) -> Result<usize> {
    let rows = distances.len().isqrt();
    if rows < 2 || rows * rows != distances.len() {
        let given = distances.len();
        return Err(Error::shape(format!("{given} distances are not those of all pairs of rows and the origin")));
    }
    Ok(rows)
}

impl Head<'_> {
    /// ‖w_y - w_i‖ to nearest, `[classes, classes]`.
    fn distances(&self, classes: usize) -> Result<Vec<f64>> {
        let &Head { weight, features } = self;
        if classes.checked_mul(features) != Some(weight.len()) {
            return Err(Error::shape(format!(
                "the head has {} weights; {classes} classes of {features} features were expected",
                weight.len()
            )));
        }
        if weight.iter().any(|x| !x.is_finite()) {
            return Err(Error::non_finite("the head has weights that are NaN or infinite"));
        }
        let row = |i: usize| &weight[i * features..(i + 1) * features];
        let mut pairs = vec![0.0; classes * classes];
        for y in 0..classes {
            for i in 0..y {
                let apart = distance(row(y), row(i));
                (pairs[y * classes + i], pairs[i * classes + y]) = (apart, apart);
            }
        }
        Ok(pairs)
    }
}

/// Checks logits and their bound.
fn check(logits: &[f64], classes: usize, lipschitz: f64) -> Result<()> {
    if classes == 0 || i32::try_from(classes).is_err() {
        return Err(Error::argument(format!("the number of classes is {classes}; give 1 or more")));
    }
    if !logits.len().is_multiple_of(classes) {
        return Err(Error::shape(format!("{} logits cannot be rows of {classes} classes", logits.len())));
    }
    if let Some(at) = logits.iter().position(|x| !x.is_finite()) {
        let (row, class) = (at / classes, at % classes);
        return Err(Error::non_finite(format!(
            "the logit of row {row}, class {class} is {}; finite logits are needed for a certificate",
            logits[at]
        )));
    }
    if !(lipschitz.is_finite() && lipschitz >= 0.0) {
        return Err(Error::argument(format!("the Lipschitz constant is {lipschitz}; give a finite one, 0 or more")));
    }
    Ok(())
}

/// ‖a - b‖, scaled by the largest difference so that squares neither overflow nor underflow.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let differences = || a.iter().zip(b).map(|(x, y)| (x - y).abs());
    let largest = differences().fold(0.0, f64::max);
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    largest * differences().map(|d| (d / largest) * (d / largest)).sum::<f64>().sqrt()
}

/// By how much more than its share a margin has to be larger to make up for slack, as a rule.
const MORE: f64 = 1.1;

/// One certificate a row; `ratio` gives the radius of the row's top logit against another one with its spread.
fn certificates(
    logits: &[f64],
    classes: usize,
    spreads: &Spreads,
    ratio: impl Fn(usize, f64, f64, f64) -> f64,
) -> Certificates {
    let mut out = Certificates::default();
    for (at, row) in logits.chunks_exact(classes).enumerate() {
        let first_largest = |skip: Option<usize>| {
            let candidates = (0..classes).filter(|&i| Some(i) != skip);
            candidates.reduce(|best, i| if row[i] > row[best] { i } else { best })
        };
        let top = first_largest(None).unwrap_or(0);
        let runner_up = first_largest(Some(top));
        let margin = runner_up.map_or(f64::INFINITY, |i| row[top] - row[i]);
        let radius = match spreads {
            // With one spread the runner-up has the least difference.
            Spreads::Constant(spread) => runner_up.map_or(f64::INFINITY, |i| ratio(at, row[top], row[i], *spread)),
            Spreads::Pairs(pairs) => runner_up.map_or(f64::INFINITY, |rival| {
                let spreads = &pairs[top * classes..(top + 1) * classes];
                let nearest = ratio(at, row[top], row[rival], spreads[rival]);
                // A logit that comes no sooner by the widest spread does not by its own, nor does a smaller one. Most are such.
                let widest = spreads.iter().copied().fold(0.0, f64::max);
                let far = row[top] - MORE * (row[top] - row[rival]) * (widest / spreads[rival]);
                let harmless = if ratio(at, row[top], far, widest) >= nearest { far } else { f64::NEG_INFINITY };
                (0..classes)
                    .filter(|&i| i != top && row[i] > harmless)
                    .map(|i| ratio(at, row[top], row[i], spreads[i]))
                    .fold(nearest, f64::min)
            }),
        };
        out.predicted.push(top as i32);
        out.runner_up.push(runner_up.map_or(-1, |i| i as i32));
        out.margin.push(margin);
        out.radius.push(radius);
    }
    out
}

#[cfg(test)]
#[path = "radius_tests.rs"]
mod tests;
