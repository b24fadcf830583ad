//! The largest singular value of a float32 matrix from above, proved in float64.
use crate::cholesky::{Search, Triangle, eigenvalue_above};
use crate::error::{Error, Result};
use crate::gram::{Gram, gram};
use crate::lanczos::largest_eigenvalue;
use crate::product::multiply_vector;
use crate::rounding::{add_up, mul_up, sqrt_up};

/// Of the squared norm.
const SEARCH: Search = Search { first: 2e-11, width: 1e-10 };

/// An upper bound of the spectral norm of `w` (`[rows, cols]`, row-major): never below it, typically within 1e-10 of it.
///
/// The smaller side gives the Gram matrix G of order p; with d the length of the other side, the relative excess is at
/// most about (p² + p d) 1e-16 + 1e-10. Costs rows cols p + some p³ / 3 operations (one p³ / 3 where the largest singular values
/// are apart) and 2 p² numbers.
///
/// Proof. Scaling by a power of two is exact. ‖G - Ĝ‖_2 has a bound (see `gram`), the largest eigenvalue of Ĝ has
/// one by a Cholesky factorization that succeeds (see `cholesky`; where the candidate comes from is of no matter), and
/// sigma² = lambda(G) <= lambda(Ĝ) + ‖G - Ĝ‖_2 (Weyl). The Frobenius norm bounds sigma too; the smaller one is
/// returned. All of these are rounded outward.
///
/// Errors: `SHAPE_MISMATCH` unless `w` has rows·cols entries, `NON_FINITE` for NaN and infinite entries. An empty or
/// zero matrix has norm 0.
pub fn spectral_norm_upper(w: &[f32], rows: usize, cols: usize) -> Result<f64> {
    check(w, rows, cols)?;
    let scale = scale_of(w);
    if scale == 0.0 {
        return Ok(0.0);
    }
    let (order, length) = (rows.min(cols), rows.max(cols));
    let entry = |i: usize, k: usize| exact(w[if rows <= cols { i * cols + k } else { k * cols + i }]) / scale;
    let squared = squared_norm_upper(&gram(order, length, entry));
    // A product with a power of two is exact: the result is at least 2^-149, far above float64's smallest.
    Ok(sqrt_up(squared) * scale)
}

/// Refuses what is no matrix `[rows, cols]`, with `SHAPE_MISMATCH`, or has entries that are not finite, with `NON_FINITE`.
pub(crate) fn check(w: &[f32], rows: usize, cols: usize) -> Result<()> {
    if rows.checked_mul(cols) != Some(w.len()) {
        return Err(Error::shape(format!(
            "{} weights were given for a matrix of shape [{rows}, {cols}]; give rows * cols of them",
            w.len()
        )));
    }
    let Some(at) = w.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    Err(Error::non_finite(format!(
        "the weight at row {}, column {} is {}; singular values are found and bounded for finite weights only",
        at / cols,
        at % cols,
        w[at]
    )))
}

/// At least the largest eigenvalue of the exact Gram matrix.
fn squared_norm_upper(g: &Gram) -> f64 {
    let p = g.order;
    let estimate = largest_eigenvalue(p, |i| g.data[i * p + i], |x, y| multiply_vector(&g.data, x, y));
    let bound = eigenvalue_above(&g.data, Triangle::dense(p), estimate, g.frobenius, SEARCH);
    add_up(bound, g.error).min(g.frobenius)
}

/// The power of two above the largest magnitude, by which entries are divided without rounding to be below 1; 0 for zeros.
pub(crate) fn scale_of(w: &[f32]) -> f64 {
    let largest = w.iter().map(|&x| exact(x).abs()).fold(0.0, f64::max);
    if largest == 0.0 { 0.0 } else { power_of_two(exponent(largest) + 1) }
}

/// The float64 of the same value, also on a thread that flushes float32 subnormals to zero.
pub(crate) fn exact(x: f32) -> f64 {
    let bits = x.to_bits();
    if bits & 0x7f80_0000 != 0 {
        return f64::from(x);
    }
    let magnitude = f64::from(bits & 0x007f_ffff) * power_of_two(-149);
    if bits >> 31 == 1 { -magnitude } else { magnitude }
}

/// floor(log2 x) of a normal float64.
fn exponent(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// 2^e for a normal result.
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// The spectral norm times `factor` (at least 0), rounded up.
pub(crate) fn scaled_norm_upper(w: &[f32], rows: usize, cols: usize, factor: f64) -> Result<f64> {
    Ok(mul_up(spectral_norm_upper(w, rows, cols)?, factor))
}

#[cfg(test)]
#[path = "norm_tests.rs"]
mod tests;
