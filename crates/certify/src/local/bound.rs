//! How far a functional of a value can rise in a ball around an input.
use super::cost::{Linearized, at_most, linearized};
use super::network::{Network, Node, Point};
use super::vector::norm;
use crate::rounding::{UNIT, add_up, mul_up};

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
        let values = &self.network.values;
        let mut pending: Vec<Option<Vec<f64>>> = vec![None; value + 1];
        pending[value] = Some(v);
        let mut so_far = Rise { fixed: 0.0, slope: 0.0 };
        let mut found = Vec::new();
        for at in (1..=value).rev() {
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
                    // The activation at the exact value and at the computed one, and what is computed of its functional.
                    let apart = mul_up(2.0 * kinks.scale, self.point.errors[*from]);
                    let around = add_up(mul_up(4.0, self.point.norms[*from]), mul_up(8.0, budget));
                    let lost = add_up(mul_up(length, add_up(apart, mul_up(kinks.rounding(), around))), mul_up(UNDERFLOW, budget));
                    so_far = so_far.plus(lost, 0.0);
                    let parts = kinks.parts(&v);
                    if alone {
                        let (price, cost) = at_most(kinks, &parts, sizes, budget);
                        found.push(so_far.plus(cost, paid(price, steep, self.radius)));
                    }
                    let reaches = &self.reaches[at];
                    let reach = |j: usize| {
                        let known = reaches.get(j).map_or(f64::INFINITY, |rise| rise.within(self.radius));
                        known.min(mul_up(steps[j], self.radius))
                    };
                    let Linearized { price, cost, slopes } = linearized(kinks, &parts, sizes, budget, reach);
                    so_far = so_far.plus(cost, paid(price, steep, self.radius));
                    let met = add(&mut pending[*from], kinks.join(parts, z, sizes, |j| slopes[j]));
                    so_far = so_far.plus(mul_up(met, budget), 0.0);
                }
            }
        }
        let length = pending[0].as_deref().map_or(0.0, norm);
        found.push(so_far.plus(0.0, length));
        found
    }
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
