//! Vectors of float64 and their norms, from above.
use crate::rounding::{add_up, gamma, mul_up, norm_up, sqrt_up};

/// Below this a sum of squares may have lost some that left the range.
const SMALL: f64 = 1e-200;

/// At least ‖x‖: squares and their sum round by gamma_(n + 2) at most. NaN where a number is.
pub(super) fn norm(x: &[f64]) -> f64 {
    let squares = crate::product::dot(x, x);
    if squares < SMALL || !squares.is_finite() {
        return norm_up(x.iter().map(|x| x.abs()));
    }
    sqrt_up(mul_up(squares, add_up(1.0, 2.0 * gamma(x.len() + 2))))
}

/// At least a sum of numbers that are not negative, each of which was computed by at most 32 operations without cancellation.
pub(super) fn total(sum: f64, terms: usize) -> f64 {
    mul_up(sum, add_up(1.0, 2.0 * gamma(terms + 32)))
}
