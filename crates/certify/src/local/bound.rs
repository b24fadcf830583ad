//! How far a functional of a value can rise in a ball around an input.
use super::cost::{Linearized, at_most, linearized};
use super::kinks::{Kinks, Parts};
use super::network::{Network, Node, Point};
use super::vector::norm;
use crate::rounding::{UNIT, add_up, div_up, mul_up};

/// At least a rise within every ball of radius ρ up to that of the [`Ball`]: `fixed + slope ρ`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rise {
    pub fixed: f64,
    pub slope: f64,
}

impl Rise {
    pub fn within(&self, radius: f64) -> f64 {
        add_up(self.fixed, mul_up(self.slope, radius))
    }

    /// A line above both up to a radius: what is above two ends of lines is above them in between.
    fn or(self, other: Rise, radius: f64) -> Rise {
        let fixed = self.fixed.max(other.fixed);
        let end = self.within(radius).max(other.within(radius));
        Rise { fixed, slope: div_up(add_up(end, -fixed).max(0.0), radius) }
    }

    fn plus(self, fixed: f64, slope: f64) -> Rise {
        Rise { fixed: add_up(self.fixed, fixed), slope: add_up(self.slope, slope) }
    }
}

/// What is lost by squares below the range of float64, relative to a budget: nothing of a network's own size.
const UNDERFLOW: f64 = 1e-100;

/// A ball around a point, and how far coordinates of activations move towards 0 in it, as far as that has been found out.
pub(super) struct Ball<'a> {
    pub network: &'a Network,
    pub point: &'a Point,
    pub radius: f64,
    /// Of each value that is an activation, of each unit a rise, valid up to a radius of at least that of the ball; empty where nothing is known.
    pub reaches: &'a [Vec<Rise>],
    /// At how many units of an activation of few both sides are looked at.
    pub branches: usize,
}

impl Ball<'_> {
    /// At least the movement of a value.
    pub fn budget(&self, value: usize) -> f64 {
        mul_up(self.network.values[value].lipschitz, self.radius)
    }

    /// Bounds of how far v·value rises, each by itself, v having as many numbers as the value.
    ///
    /// From the last value to the input: a functional of a value becomes one of those that it is computed from, and each step adds what
    /// it may have lost.
    pub fn rises(&self, value: usize, v: Vec<f64>) -> Vec<Rise> {
        let mut pending: Vec<Option<Vec<f64>>> = vec![None; value + 1];
        pending[value] = Some(v);
        self.followed(pending, Rise { fixed: 0.0, slope: 0.0 }, self.branches)
    }

    /// The same of the sum of functionals of values, added to what is there so far; at an activation of few units up to `branches` of them
    /// are looked at from both sides.
    fn followed(&self, mut pending: Vec<Option<Vec<f64>>>, mut so_far: Rise, branches: usize) -> Vec<Rise> {
        let values = &self.network.values;
        let mut found = Vec::new();
        for at in (1..pending.len()).rev() {
            let Some(v) = pending[at].take() else { continue };
            let alone = pending.iter().all(Option::is_none);
            let length = norm(&v);
            if length == 0.0 {
                continue;
            }
            match &values[at].node {
                Node::Input => {}
                Node::Map { from, map } => {
                    let off = mul_up(mul_up(map.rounding(), map.size().0), length);
                    let met = add(&mut pending[*from], map.pull(&v));
                    so_far = so_far.plus(mul_up(add_up(add_up(off, met), UNDERFLOW), self.budget(*from)), 0.0);
                }
                Node::Sum { from } => {
                    for &from in from {
                        let met = add(&mut pending[from], v.clone());
                        so_far = so_far.plus(mul_up(met, self.budget(from)), 0.0);
                    }
                }
                Node::Concat { from } => {
                    let mut rest = &v[..];
                    for &from in from {
                        let (part, behind) = rest.split_at(values[from].size);
                        let met = add(&mut pending[from], part.to_vec());
                        so_far = so_far.plus(mul_up(met, self.budget(from)), 0.0);
                        rest = behind;
                    }
                }
                Node::Opaque { from, lipschitz } => {
                    so_far = so_far.plus(0.0, mul_up(mul_up(length, *lipschitz), values[*from].lipschitz));
                }
                Node::Kinks { from, kinks, steps } => {
                    let Some(z) = &self.point.values[*from] else {
                        so_far = so_far.plus(0.0, mul_up(mul_up(length, kinks.scale), values[*from].lipschitz));
                        continue;
                    };
                    let sizes = &self.point.sizes[at];
                    let (budget, steep) = (self.budget(*from), values[*from].lipschitz);
                    so_far = so_far.plus(mul_up(length, self.lost(*from, kinks)), 0.0);
                    let parts = kinks.parts(&v);
                    // Further down more has been lost than stopping there saves.
                    let is_first =
                        !values[at + 1..pending.len()].iter().any(|value| matches!(value.node, Node::Kinks { .. }));
                    if alone && is_first {
                        let (price, cost) = at_most(kinks, &parts, sizes, budget);
                        found.push(so_far.plus(cost, paid(price, steep, self.radius)));
                    }
                    let reaches = &self.reaches[at];
                    let reach = |j: usize| {
                        let known = reaches.get(j).map_or(f64::INFINITY, |rise| rise.within(self.radius));
                        known.min(mul_up(steps[j], self.radius)).min(budget)
                    };
                    let both = if kinks.is_few() { worst(&parts, sizes, &reach, branches) } else { Vec::new() };
                    // Of these each side is looked at by itself, so that none of them bends.
                    let bends = |j: usize| if both.contains(&j) { 0.0 } else { reach(j) };
                    let Linearized { price, cost, slopes } = linearized(kinks, &parts, sizes, budget, bends);
                    so_far = so_far.plus(cost, paid(price, steep, self.radius));
                    if both.is_empty() {
                        let met = add(&mut pending[*from], kinks.join(&parts, z, sizes, |j| slopes[j]));
                        so_far = so_far.plus(mul_up(met, budget), 0.0);
                        continue;
                    }
                    let sides = (0..1_usize << both.len()).map(|turned| {
                        let is_turned =
                            |j: usize| both.iter().position(|&one| one == j).is_some_and(|i| turned >> i & 1 == 1);
                        let slope = |j: usize| if is_turned(j) { -1.0 } else { slopes[j] };
                        // a (|d + t| - n) on the other side is a (-p·t) - 2 a n.
                        let back: f64 = both
                            .iter()
                            .filter(|&&j| is_turned(j))
                            .map(|&j| 2.0 * parts.sizes[j] * sizes[j].abs())
                            .sum();
                        let mut pending = pending.clone();
                        let met = add(&mut pending[*from], kinks.join(&parts, z, sizes, slope));
                        let turned = so_far.plus(mul_up(met, budget), 0.0).plus(-(back * (1.0 - 64.0 * UNIT)), 0.0);
                        self.least(self.followed(pending, turned, 0))
                    });
                    found.extend(sides.reduce(|one, other| one.or(other, self.radius)));
                    return found;
                }
            }
        }
        let length = pending[0].as_deref().map_or(0.0, norm);
        found.push(so_far.plus(0.0, length));
        found
    }

    /// Of a functional of an activation of norm 1 what it is off by: it is computed at values that are off themselves, in float64.
    fn lost(&self, from: usize, kinks: &Kinks) -> f64 {
        let budget = self.budget(from);
        let apart = mul_up(2.0 * kinks.scale, self.point.errors[from]);
        let around = add_up(mul_up(4.0, self.point.norms[from]), mul_up(8.0, budget));
        add_up(add_up(apart, mul_up(kinks.rounding(), around)), mul_up(UNDERFLOW, budget))
    }

    /// The bound that says least at the radius of the ball.
    pub fn least(&self, rises: Vec<Rise>) -> Rise {
        let nothing = Rise { fixed: f64::INFINITY, slope: 0.0 };
        rises
            .into_iter()
            .fold(nothing, |best, one| if one.within(self.radius) < best.within(self.radius) { one } else { best })
    }
}

/// The units that bend most, up to `count`: those that have a side and whose size counts with a > 0, by what they rise by at most beyond a linear functional.
fn worst(parts: &Parts, sizes: &[f64], reach: &impl Fn(usize) -> f64, count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let bend = |j: usize| parts.sizes[j] * (reach(j) - sizes[j].abs());
    let mut bent: Vec<(usize, f64)> = (0..sizes.len())
        .map(|j| (j, bend(j)))
        .filter(|&(j, by)| sizes[j] != 0.0 && parts.sizes[j] > 0.0 && by > 0.0)
        .collect();
    bent.sort_by(|a, b| b.1.total_cmp(&a.1));
    bent.into_iter().take(count).map(|(j, _)| j).collect()
}

/// Of a price on the square of a movement of at most `steep` ρ, which is at most this times ρ up to the radius.
fn paid(price: f64, steep: f64, radius: f64) -> f64 {
    mul_up(mul_up(price, mul_up(steep, steep)), radius)
}

/// Adds a functional to another of the same value; at least what is lost by it.
fn add(to: &mut Option<Vec<f64>>, v: Vec<f64>) -> f64 {
    let Some(sum) = to else {
        *to = Some(v);
        return 0.0;
    };
    sum.iter_mut().zip(v).for_each(|(sum, v)| *sum += v);
    mul_up(2.0 * UNIT, norm(sum))
}
