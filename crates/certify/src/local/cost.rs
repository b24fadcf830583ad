//! What a functional of an activation's result may rise by beyond a linear one of its input.
//!
//! Let d be the coordinates of a unit, n = ‖d‖, p = d / n, and t their movement. For a > 0 and every slope k in (0, 1],
//!
//! ```text
//! a (‖d + t‖ - n) <= k a p·t + a k ‖t‖² / (2 n) + a n (1 - k)² / (2 k)                        (1)
//! ```
//!
//! since sqrt(Y) <= Y k / (2 n) + n / (2 k) with Y = n² + ‖t‖² + 2 n p·t; and it is at most a ‖t‖. So with a price λ on ‖t‖² it rises by at most
//! k a p·t + λ ‖t‖² + cost, where k = min(1, 2 n λ / a) makes the cost (1 - k)² a² / (4 λ). Of one coordinate that moves by no
//! more than s towards 0 it rises by at most a p·t + 2 a max(0, -p·t - n), which is linear where s <= n. For a < 0 it rises by at most a p·t, as norms are
//! convex.
use super::kinks::{Kinks, Parts};
use super::vector::total;
use crate::rounding::{UNIT, add_up, mul_up};

/// A unit whose size counts with a > 0: what it takes to change the side, and how far it may move towards it.
struct Rising {
    at: usize,
    a: f64,
    n: f64,
    s: f64,
    scalar: bool,
}

/// A price λ on the squared movement, what is to be added, and of each unit the slope.
pub(super) struct Linearized {
    pub price: f64,
    pub cost: f64,
    pub slopes: Vec<f64>,
}

/// At a slope and a price.
#[derive(Clone, Copy)]
struct Choice {
    slope: f64,
    cost: f64,
}

/// Room for a few roundings of numbers that cancel.
const ROUNDED: f64 = 16.0 * UNIT;

impl Rising {
    fn at_price(&self, price: f64) -> Choice {
        let &Rising { a, n, s, scalar, .. } = self;
        if scalar && s <= n {
            return Choice { slope: 1.0, cost: 0.0 };
        }
        // Rounded down: the share of ‖t‖² in (1) must not pass the price.
        let slope = (2.0 * n * price / a * (1.0 - ROUNDED)).min(1.0);
        let bent = if slope >= 1e-100 {
            Choice { slope, cost: a * n * (1.0 - slope) * (1.0 - slope) / (2.0 * slope) }
        } else {
            Choice { slope: 0.0, cost: a * a / (4.0 * price) }
        };
        let straight = if n == 0.0 {
            // There is no side, and no direction.
            f64::INFINITY
        } else if scalar {
            let t = (a / price).clamp(n, s);
            let (gain, paid) = (2.0 * a * t, price * t * t + 2.0 * a * n);
            (gain - paid).max(0.0) + ROUNDED * (gain + paid)
        } else {
            // ‖d + t‖ - n - p·t is at most ‖t‖² / (2 n).
            ((a / (2.0 * n) * (1.0 + ROUNDED) - price) * s * s).max(0.0)
        };
        if straight < bent.cost { Choice { slope: 1.0, cost: straight } } else { bent }
    }
}

/// Prices that are tried.
const TRIED: usize = 16;

/// The best of prices around `middle`, by golden section on a logarithmic scale: `of` need not have one valley, any price is a bound.
fn cheapest(middle: f64, of: impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let at = |log: f64| middle * log.exp();
    let (mut low, mut high) = (-9.0, 2.0);
    let (mut x, mut y) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut of_x, mut of_y) = (of(at(x)), of(at(y)));
    for _ in 0..TRIED {
        if of_x < of_y {
            (high, y, of_y) = (y, x, of_x);
            x = high - GOLDEN * (high - low);
            of_x = of(at(x));
        } else {
            (low, x, of_x) = (x, y, of_y);
            y = low + GOLDEN * (high - low);
            of_y = of(at(y));
        }
    }
    at(if of_x < of_y { x } else { y })
}

/// A functional of an activation's result at z as a linear one of z, a price and a cost; the movement of z is at most `budget`, that of
/// coordinate j towards 0 at most `reach(j)`.
pub(super) fn linearized(
    kinks: &Kinks,
    parts: &Parts,
    sizes: &[f64],
    budget: f64,
    reach: impl Fn(usize) -> f64,
) -> Linearized {
    let scalar = kinks.is_scalar();
    let mut slopes = vec![1.0; sizes.len()];
    let rising: Vec<Rising> = (0..sizes.len())
        .filter(|&j| parts.sizes[j] > 0.0)
        .map(|at| Rising { at, a: parts.sizes[at], n: sizes[at].abs(), s: reach(at).min(budget), scalar })
        .filter(|unit| !(scalar && unit.s <= unit.n))
        .collect();
    let length = rising.iter().map(|unit| unit.a * unit.a).sum::<f64>().sqrt();
    if length == 0.0 || budget == 0.0 {
        // Where nothing moves nothing rises.
        return Linearized { price: 0.0, cost: 0.0, slopes };
    }
    let cost = |price: f64| rising.iter().map(|unit| unit.at_price(price).cost).sum::<f64>();
    let price = cheapest(length / (2.0 * budget), |price| price * budget * budget + cost(price));
    let mut sum = 0.0;
    for unit in &rising {
        let Choice { slope, cost } = unit.at_price(price);
        slopes[unit.at] = slope;
        sum += cost;
    }
    Linearized { price, cost: total(sum, rising.len()), slopes }
}

/// A bound of a functional of an activation's result that asks for no linear one of z: of its rise over all movements of norm at
/// most `budget`, a price λ on the square of the budget and what is to be added.
///
/// Each orthogonal coordinate by itself rises by at most λ t² and the peak of what it rises by less λ t² (weak duality).
pub(super) fn at_most(kinks: &Kinks, parts: &Parts, sizes: &[f64], budget: f64) -> (f64, f64) {
    let scalar = kinks.is_scalar();
    let beside: Vec<f64> = (0..sizes.len()).map(|j| kinks.beside(&parts.linear, j)).collect();
    let all: f64 = parts.linear.iter().map(|l| l * l).sum();
    // What stands beside sizes is counted with them.
    let counted: f64 = beside.iter().map(|l| l * l).sum();
    let others = if counted == 0.0 { all } else { 0.0 };
    let length = (all + parts.sizes.iter().map(|a| a * a).sum::<f64>()).sqrt();
    if length == 0.0 || budget == 0.0 {
        return (0.0, 0.0);
    }
    let cost = |price: f64| {
        let peaks = (0..sizes.len()).map(|j| {
            let (a, l) = (parts.sizes[j], beside[j]);
            if scalar { peak_of_one(l, a, sizes[j], price) } else { peak_of_several(a, sizes[j], price) }
        });
        others / (4.0 * price) + peaks.sum::<f64>()
    };
    let price = cheapest(length / (2.0 * budget), |price| price * budget * budget + cost(price));
    (price, total(cost(price), sizes.len() + parts.linear.len()))
}

/// At least the largest of l t + a (|d + t| - |d|) - λ t².
fn peak_of_one(l: f64, a: f64, d: f64, price: f64) -> f64 {
    // Turned so that d = n >= 0.
    let (l, n) = (if d < 0.0 { -l } else { l }, d.abs());
    let (same, across) = (l + a, l - a);
    // On its side of 0 it is same t - λ t², with t >= -n; beyond across t - 2 a n - λ t².
    let here = if same >= -2.0 * price * n { same * same / (4.0 * price) } else { n * (-same - price * n) };
    let there = if across <= -2.0 * price * n {
        let gain = across * across / (4.0 * price);
        add_up(gain - 2.0 * a * n, mul_up(ROUNDED, gain + 2.0 * a.abs() * n))
    } else {
        0.0
    };
    // Sums of l and a round once.
    here.max(there) + ROUNDED * (l.abs() + a.abs()) * (l.abs() + a.abs()) / price
}

/// At least the largest of a (‖d + t‖ - ‖d‖) - λ ‖t‖², with n = ‖d‖.
fn peak_of_several(a: f64, n: f64, price: f64) -> f64 {
    if a >= 0.0 || -a <= 2.0 * price * n { a * a / (4.0 * price) } else { n * (-a - price * n) }
}
