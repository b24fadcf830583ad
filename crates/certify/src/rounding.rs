//! Outward rounding: f64 operations are correct to half a unit, so one step to the neighbour makes each a bound.

/// The unit roundoff of float64, 2^-53.
pub(crate) const UNIT: f64 = f64::EPSILON / 2.0;

/// An upper bound of gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, 2002, (3.1)).
///
/// Infinite where n u >= 1/2: no claim is made for sums that long.
pub(crate) fn gamma(n: usize) -> f64 {
    let nu = n as f64 * UNIT;
    if nu < 0.5 { div_up(nu, 1.0 - nu) } else { f64::INFINITY }
}

/// At least a + b.
pub(crate) fn add_up(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { a + b } else { (a + b).next_up() }
}

/// At most a - b.
pub(crate) fn sub_down(a: f64, b: f64) -> f64 {
    if a == b || b == 0.0 { a - b } else { (a - b).next_down() }
}

/// At least a b; exact where a factor is zero.
pub(crate) fn mul_up(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { (a * b).next_up() }
}

/// At least a / b for a >= 0, b > 0.
pub(crate) fn div_up(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { (a / b).next_up() }
}

/// At most a / b for a >= 0, b > 0.
pub(crate) fn div_down(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { (a / b).next_down().max(0.0) }
}

/// At least the square root of a >= 0.
pub(crate) fn sqrt_up(a: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a.sqrt().next_up() }
}
