//! The largest singular value of a float32 matrix from above, proved in float64.
use crate::cholesky::eigenvalue_upper;
use crate::error::{Error, Result};
use crate::gram::{Gram, gram};
use crate::rounding::{add_up, mul_up, sqrt_up};

/// Power iterations before the first proof is tried; they stop when the estimate settles.
const POWER_ITERATIONS: usize = 200;
/// The power iteration has settled where a step raises the estimate by less than this part of it.
const SETTLED: f64 = 1e-14;
/// The first distance above the estimate at which the proof is tried, relative; below it rounding decides.
const FIRST_GAP: f64 = 1e-13;
/// Bisection between a refuted and a proved bound ends at this relative width of the squared norm.
const WIDTH: f64 = 1e-10;

/// An upper bound of the spectral norm of `w` (`[rows, cols]`, row-major): never below it, typically within 1e-10 of it.
///
/// The smaller side gives the Gram matrix G of order p; with d the length of the other side, the relative excess is at
/// most about (p² + p d / 8) 1e-16 + 1e-10. Costs rows cols p + a few p³ / 3 operations and p² + rows cols numbers.
///
/// Proof. Scaling by a power of two is exact. ‖G - Ĝ‖_2 has a bound (see `gram`), the largest eigenvalue of Ĝ has
/// one by a Cholesky factorization that succeeds (see `cholesky`; where the candidate comes from is of no matter), and
/// sigma² = lambda(G) <= lambda(Ĝ) + ‖G - Ĝ‖_2 (Weyl). The Frobenius norm bounds sigma too; the smaller one is
/// returned. All of these are rounded outward.
///
/// Errors: `SHAPE_MISMATCH` unless `w` has rows·cols entries, `NON_FINITE` for NaN and infinite entries. An empty or
/// zero matrix has norm 0.
pub fn spectral_norm_upper(w: &[f32], rows: usize, cols: usize) -> Result<f64> {
    if rows.checked_mul(cols) != Some(w.len()) {
        return Err(Error::shape(format!(
            "{} weights were given for a matrix of shape [{rows}, {cols}]; give rows * cols of them",
            w.len()
        )));
    }
    if let Some(at) = w.iter().position(|x| !x.is_finite()) {
        return Err(Error::non_finite(format!(
            "the weight at row {}, column {} is {}; a norm is bounded for finite weights only",
            at / cols,
            at % cols,
            w[at]
        )));
    }
    let largest = w.iter().map(|&x| exact(x).abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        return Ok(0.0);
    }
    // The power of two above the largest magnitude: scaled entries are below 1.
    let scale = power_of_two(exponent(largest) + 1);
    let (order, length) = (rows.min(cols), rows.max(cols));
    let mut side = vec![0.0; w.len()];
    for (i, row) in w.chunks_exact(cols).enumerate() {
        for (j, &x) in row.iter().enumerate() {
            side[if rows <= cols { i * length + j } else { j * length + i }] = exact(x) / scale;
        }
    }
    let squared = squared_norm_upper(&gram(&side, order, length));
    // A product with a power of two is exact: the result is at least 2^-149, far above float64's smallest.
    Ok(sqrt_up(squared) * scale)
}

/// At least the largest eigenvalue of the exact Gram matrix.
fn squared_norm_upper(g: &Gram) -> f64 {
    let p = g.order;
    let mut work = vec![0.0; p * p];
    let estimate = power_iteration(g, &mut work[..]);
    let (mut refuted, mut gap, mut proved) = (0.0, FIRST_GAP, None);
    while proved.is_none() && estimate * (1.0 + gap) < g.frobenius {
        proved = eigenvalue_upper(&g.data, p, estimate * (1.0 + gap), &mut work);
        if proved.is_none() {
            (refuted, gap) = (gap, gap * 16.0);
        }
    }
    let Some(mut bound) = proved else { return g.frobenius };
    while gap - refuted > WIDTH {
        let middle = if refuted > 0.0 { (gap * refuted).sqrt() } else { gap / 16.0 };
        match eigenvalue_upper(&g.data, p, estimate * (1.0 + middle), &mut work) {
            Some(better) => (gap, bound) = (middle, better.min(bound)),
            None => refuted = middle,
        }
    }
    add_up(bound, g.error).min(g.frobenius)
}

/// A Rayleigh quotient of the Gram matrix: where the proof starts, of no weight in it. `work` holds 2 p numbers or p².
fn power_iteration(g: &Gram, work: &mut [f64]) -> f64 {
    let p = g.order;
    let diagonal = |i: usize| g.data[i * p + i];
    let longest = (0..p).fold(0, |best, i| if diagonal(i) > diagonal(best) { i } else { best });
    if p == 1 {
        return diagonal(0);
    }
    let (x, rest) = work.split_at_mut(p);
    let y = &mut rest[..p];
    // A row of G is a first step from the longest row of the weight: never orthogonal to all of the dominant space
    // in a matrix that has one, and if it were, the proof only costs more attempts.
    x.copy_from_slice(&g.data[longest * p..(longest + 1) * p]);
    let mut estimate = diagonal(longest);
    for _ in 0..POWER_ITERATIONS {
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        x.iter_mut().for_each(|v| *v /= norm);
        y.fill(0.0);
        for (row, &factor) in g.data.chunks_exact(p).zip(x.iter()) {
            y.iter_mut().zip(row).for_each(|(y, g)| *y += factor * g);
        }
        let quotient = x.iter().zip(y.iter()).map(|(x, y)| x * y).sum::<f64>();
        x.copy_from_slice(y);
        let settled = quotient - estimate <= SETTLED * quotient;
        estimate = estimate.max(quotient);
        if settled {
            break;
        }
    }
    estimate
}

/// The float64 of the same value, also on a thread that flushes float32 subnormals to zero.
fn exact(x: f32) -> f64 {
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
