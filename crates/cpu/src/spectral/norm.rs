//! The largest singular value as a Schatten norm of high order: from above, smooth, deterministic, no start vector.
//!
//! N = 2^(K+2), ‖W‖_N = (tr (WᵀW)^(N/2))^(1/N) = ‖G^(2^K)‖_F^(1/2^(K+1)) with G = WᵀW squared K times. It is never below
//! sigma, and above it by at most p^(1/N), reached where all p singular values tie.
use super::matrix::{Side, dot, from_tall, gram, product, symmetric, to_tall};
use crate::simd::Level;

/// Squarings at most: p^(1/2^22) is within 2e-6 for any p, and a second singular value closer than 3e-6 counts as tied.
const SQUARINGS: i32 = 20;
/// ‖A²‖_F >= (1 - RANK_ONE) ‖A‖_F² says that the second eigenvalue of A is below about a thousandth of the first.
const RANK_ONE: f64 = 1e-6;
/// Squarings after that: a thousandth becomes 1e-12, of no effect in float32.
const AFTER_RANK_ONE: i32 = 2;

/// Floats of scratch for [`spectral_norm`].
pub fn spectral_norm_scratch(m: usize, n: usize) -> usize {
    m * n + 2 * m.min(n).pow(2)
}

/// Floats of scratch for [`spectral_norm_grad`].
pub fn spectral_norm_grad_scratch(m: usize, n: usize) -> usize {
    2 * m * n + 4 * m.min(n).pow(2)
}

/// The largest singular value of `w` `[m, n]`: never below it beyond float32's rounding (about 2e-7 relative) and above
/// it by at most 2e-6 relative, where many singular values tie; exact to rounding where the first is by itself.
///
/// 0 for a zero weight, NaN where an entry is NaN or infinite. Any scale from 1e-45 to 3e38 is right, since entries are
/// scaled by a power of two first.
pub fn spectral_norm(level: Level, w: &[f32], m: usize, n: usize, scratch: &mut [f32]) -> f32 {
    let (p, length) = (m.min(n), m * n);
    let (x, rest) = scratch.split_at_mut(length);
    match scaled(&w[..length], m, n, x) {
        Scaled::By(exponent) => {
            let (g, rest) = rest.split_at_mut(p * p);
            let sigma = schatten(level, x, p, g, &mut rest[..p * p], None);
            (sigma * 2f64.powi(exponent)) as f32
        }
        Scaled::Zero => 0.0,
        Scaled::NonFinite => f32::NAN,
    }
}

/// The gradient of [`spectral_norm`] with respect to `w` `[m, n]`, into `dw` `[m, n]`.
///
/// It is sigma W M / <W M, W> with M = G^(N/2 - 1), the product of all squared powers: u vᵀ where the largest singular
/// value is by itself, the mean of u_i v_iᵀ where several tie. Zero for a zero weight, NaN where an entry is not finite.
pub fn spectral_norm_grad(level: Level, w: &[f32], m: usize, n: usize, dw: &mut [f32], scratch: &mut [f32]) {
    let (p, length) = (m.min(n), m * n);
    let dw = &mut dw[..length];
    let (x, rest) = scratch.split_at_mut(length);
    match scaled(&w[..length], m, n, x) {
        Scaled::By(_) => {
            let (y, rest) = rest.split_at_mut(length);
            let (g, rest) = rest.split_at_mut(p * p);
            let (next, rest) = rest.split_at_mut(p * p);
            let (powers, work) = rest.split_at_mut(p * p);
            let sigma = schatten(level, x, p, g, next, Some((&mut *powers, &mut work[..p * p])));
            product(level, x, Side::Plain, powers, p, y, false);
            let factor = (sigma / dot(x, y)) as f32;
            y.iter_mut().for_each(|v| *v *= factor);
            from_tall(y, m, n, dw);
        }
        Scaled::Zero => dw.fill(0.0),
        Scaled::NonFinite => dw.fill(f32::NAN),
    }
}

/// What the entries of a weight allow.
enum Scaled {
    /// The weight is the scaled one times 2 to this power.
    By(i32),
    Zero,
    NonFinite,
}

/// The tall form of `w` in `x`, times a power of two that brings its largest magnitude into [1, 2).
fn scaled(w: &[f32], m: usize, n: usize, x: &mut [f32]) -> Scaled {
    if w.iter().any(|v| !v.is_finite()) {
        return Scaled::NonFinite;
    }
    let largest = w.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
    if largest == 0.0 {
        return Scaled::Zero;
    }
    let exponent = f64::from(largest).log2().floor() as i32;
    // In two factors, as 2^149 is no float32; both products are exact.
    let (first, second) = (2f32.powi(-exponent / 2), 2f32.powi(-exponent - (-exponent / 2)));
    to_tall(w, m, n, x);
    x.iter_mut().for_each(|v| *v = *v * first * second);
    Scaled::By(exponent)
}

/// The Schatten norm of X `[q, p]`; with `powers` (and its work space) also the product of all powers of the Gram
/// matrix, up to a factor. Powers are scaled by powers of two, so that scaling rounds nothing.
fn schatten<'a>(
    level: Level,
    x: &[f32],
    p: usize,
    mut g: &'a mut [f32],
    mut next: &'a mut [f32],
    powers: Option<(&mut [f32], &mut [f32])>,
) -> f64 {
    gram(level, x, p, g);
    // log2 of the factor taken out of G^(2^k) so far, and the Frobenius norm of what is left.
    let (mut log, mut norm) = normalize(g);
    let mut powers = powers.map(|(total, work)| {
        total.copy_from_slice(g);
        (total, work)
    });
    let (mut k, mut end) = (0, SQUARINGS);
    while k < end {
        symmetric(level, g, g, p, next);
        let (exponent, next_norm) = normalize(next);
        let shrunk = next_norm * exponent.exp2() / (norm * norm);
        (log, norm, k) = (2.0 * log + exponent, next_norm, k + 1);
        std::mem::swap(&mut g, &mut next);
        if let Some((total, work)) = &mut powers {
            symmetric(level, total, g, p, work);
            normalize(work);
            total.copy_from_slice(work);
        }
        if shrunk >= 1.0 - RANK_ONE {
            end = end.min(k + AFTER_RANK_ONE);
        }
    }
    ((log + norm.log2()) / 2f64.powi(k + 1)).exp2()
}

/// Divides by a power of two so that the Frobenius norm is in [1, 2); gives its exponent and that norm.
fn normalize(a: &mut [f32]) -> (f64, f64) {
    let norm = dot(a, a).sqrt();
    let exponent = norm.log2().floor();
    let factor = (-exponent).exp2() as f32;
    a.iter_mut().for_each(|v| *v *= factor);
    (exponent, norm * (-exponent).exp2())
}
