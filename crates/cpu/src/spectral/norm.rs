//! The largest singular value as a Schatten norm of high order: from above, smooth, deterministic, no start vector.
//!
//! N = 2^(K+2), ‖W‖_N = (tr (WᵀW)^(N/2))^(1/N) = ‖G^(2^K)‖_F^(1/2^(K+1)) with G = WᵀW squared K times. It is never below
//! sigma, and above it by at most p^(1/N), reached where all p singular values tie. Squaring ends where more would change
//! nothing: where one eigenvalue is left, or only eigenvalues that tie. Of a larger matrix the eigenvalue is found and
//! proved by cheaper means where it is by itself.
use super::lanczos::{LEAST, dominant};
use super::matrix::{Form, dot, scale};
use crate::kernels::gemm::{Gemm, gemm};
use crate::simd::Level;

/// Squarings at most: p^(1/2^22) is within 2e-6 for any p, and a second singular value closer than 3e-6 counts as tied.
const SQUARINGS: i32 = 20;
/// tr A² >= (1 - RANK_ONE) (tr A)² says that the second eigenvalue of A is below RANK_ONE / 2 of the first; that of A² is
/// then of no effect in float32.
const RANK_ONE: f64 = 1e-3;
/// Eigenvalues whose square roots, the singular values, differ by no more than this share tie.
const TIED: f64 = 1e-6;
/// How often ties are looked for, in squarings: first after a few, where rounding of A² is small beside `TIED`.
const LOOK: i32 = 3;
/// Weights whose largest magnitude is 2 to a power between plus and minus this are squared as they are.
const MODERATE: i32 = 15;

/// Floats of scratch for [`spectral_norm`].
pub fn spectral_norm_scratch(m: usize, n: usize) -> usize {
    let form = Form::new(Level::Portable, m, n);
    form.large() + 2 * form.small() + form.work()
}

/// Floats of scratch for [`spectral_norm_grad`].
pub fn spectral_norm_grad_scratch(m: usize, n: usize) -> usize {
    spectral_norm_scratch(m, n)
}

/// The largest singular value of `w` `[m, n]`: never below it beyond float32's rounding (about 2e-7 relative) and above
/// it by at most 2e-6 relative, where many singular values tie; exact to rounding where the first is by itself.
///
/// 0 for a zero weight, NaN where an entry is NaN or infinite. Any scale from 1e-45 to 3e38 is right, since entries are
/// scaled by a power of two first.
pub fn spectral_norm(level: Level, w: &[f32], m: usize, n: usize, scratch: &mut [f32]) -> f32 {
    let form = Form::new(level, m, n);
    let (copy, rest) = scratch.split_at_mut(form.large());
    match scaled(&w[..form.large()], copy) {
        Weight::Scaled { x, exponent } => (top(&form, x, rest).sigma * 2f64.powi(exponent)) as f32,
        Weight::Zero => 0.0,
        Weight::NonFinite => f32::NAN,
    }
}

/// The gradient of [`spectral_norm`] with respect to `w` `[m, n]`, into `dw` `[m, n]`.
///
/// It is sigma W M / <W M, W> with M = G^(N/2 - 1): u vᵀ where the largest singular value is by itself, the mean of
/// u_i v_iᵀ where several tie. Zero for a zero weight, NaN where an entry is not finite.
pub fn spectral_norm_grad(level: Level, w: &[f32], m: usize, n: usize, dw: &mut [f32], scratch: &mut [f32]) {
    let form = Form::new(level, m, n);
    let dw = &mut dw[..form.large()];
    let (copy, rest) = scratch.split_at_mut(form.large());
    match scaled(&w[..form.large()], copy) {
        Weight::Scaled { x, .. } => match top(&form, x, rest) {
            Top { sigma, direction: Direction::Vector(v) } => outer(&form, x, sigma, v, dw),
            Top { sigma, direction: Direction::Power(power) } => {
                form.apply(x, power, dw, false);
                scale(dw, (sigma / dot(x, dw)) as f32);
            }
        },
        Weight::Zero => dw.fill(0.0),
        Weight::NonFinite => dw.fill(f32::NAN),
    }
}

/// X v vᵀ / (sigma |v|²), which is u vᵀ for a v of any length along the first singular vector.
fn outer(form: &Form, x: &[f32], sigma: f64, v: &[f32], dx: &mut [f32]) {
    let (p, q) = (form.p, form.q);
    let factor = (1.0 / (sigma * dot(v, v))) as f32;
    if form.wide {
        // X v is a sum of the weight's rows; it waits in the first row of the result.
        let g = Gemm {
            m: 1,
            n: q,
            k: p,
            a: v,
            a_strides: (p, 1),
            b: x,
            b_row_stride: q,
            c: dx,
            c_row_stride: q,
            accumulate: false,
        };
        gemm(form.level, g);
        let (image, rest) = dx.split_at_mut(q);
        for (row, v) in rest.chunks_exact_mut(q).zip(&v[1..]) {
            row.iter_mut().zip(&*image).for_each(|(d, y)| *d = v * factor * y);
        }
        scale(image, v[0] * factor);
    } else {
        for (row, x) in dx.chunks_exact_mut(p).zip(x.chunks_exact(p)) {
            let image = dot(x, v) as f32 * factor;
            row.iter_mut().zip(v).for_each(|(d, v)| *d = image * v);
        }
    }
}

/// What the entries of a weight allow.
pub(super) enum Weight<'a> {
    /// The weight is `x` times 2 to this power.
    Scaled {
        x: &'a [f32],
        exponent: i32,
    },
    Zero,
    NonFinite,
}

/// The weight, times a power of two that brings its largest magnitude into [1, 2) where it is not of moderate size.
pub(super) fn scaled<'a>(w: &'a [f32], copy: &'a mut [f32]) -> Weight<'a> {
    // Bits of magnitudes are in the order of the magnitudes, those that are not finite last.
    let largest = f32::from_bits(w.iter().fold(0, |largest: i32, v| largest.max(v.abs().to_bits() as i32)) as u32);
    if !largest.is_finite() {
        return Weight::NonFinite;
    }
    if largest == 0.0 {
        return Weight::Zero;
    }
    let exponent = f64::from(largest).log2().floor() as i32;
    if exponent.abs() <= MODERATE {
        return Weight::Scaled { x: w, exponent: 0 };
    }
    // In two factors, as 2^149 is no float32; both products are exact.
    let (first, second) = (2f32.powi(-exponent / 2), 2f32.powi(-exponent - (-exponent / 2)));
    copy.iter_mut().zip(w).for_each(|(to, v)| *to = v * first * second);
    Weight::Scaled { x: copy, exponent }
}

/// The largest singular value, and what its gradient needs.
struct Top<'a> {
    sigma: f64,
    direction: Direction<'a>,
}

enum Direction<'a> {
    /// Along the first right singular vector.
    Vector(&'a [f32]),
    /// G^(N/2 - 1) up to a factor, and what is below rounding.
    Power(&'a [f32]),
}

/// The largest singular value of X: of a larger matrix it is looked for by itself first.
fn top<'a>(form: &Form, x: &[f32], memory: &'a mut [f32]) -> Top<'a> {
    let (g, rest) = memory.split_at_mut(form.small());
    let (next, work) = rest.split_at_mut(form.small());
    form.gram(x, 1.0, g, work);
    if form.p >= LEAST
        && let Some(theta) = dominant(form, g, &mut work[..form.p], next)
    {
        return Top { sigma: theta.sqrt(), direction: Direction::Vector(&work[..form.p]) };
    }
    schatten(form, g, next, work)
}

/// The Schatten norm of X from its Gram matrix. Powers are scaled by powers of two, so that scaling rounds nothing.
fn schatten<'a>(form: &Form, mut g: &'a mut [f32], mut next: &'a mut [f32], work: &mut [f32]) -> Top<'a> {
    let p = form.p;
    let trace = |a: &[f32]| (0..p).map(|i| f64::from(a[i * (p + 1)])).sum::<f64>();
    // G^(2^k) = 2^log g.
    let (mut log, mut of_g) = (0.0, trace(g));
    let mut k = 0;
    loop {
        // A = 2^-exponent g.
        let exponent = of_g.log2().floor();
        form.symmetric(&[form.pair(g, g)], (-2.0 * exponent).exp2() as f32, &[], next, work);
        let (of_a, of_square) = (of_g * (-exponent).exp2(), trace(next));
        let root = 2f64.powi(k + 1);
        if of_square >= (1.0 - RANK_ONE) * of_a * of_a {
            let log = 2.0 * (log + exponent) + 0.5 * dot(next, next).log2();
            let largest = (0..p).fold(0, |best, i| if next[i * (p + 1)] > next[best * (p + 1)] { i } else { best });
            let v = &next[largest * p..(largest + 1) * p];
            return Top { sigma: (log / (2.0 * root)).exp2(), direction: Direction::Vector(v) };
        }
        if k % LOOK == LOOK - 1 {
            // With A² = c A + R the largest eigenvalue is between c and c + |R| / c.
            let (c, factor) = (of_square / of_a, (-exponent).exp2());
            let rest = residual(next, g, c * factor) / c;
            if rest <= TIED * root * c {
                let sigma = ((log + exponent + (c + rest).log2()) / root).exp2();
                return Top { sigma, direction: Direction::Power(next) };
            }
        }
        (log, of_g, k) = (2.0 * (log + exponent), of_square, k + 1);
        std::mem::swap(&mut g, &mut next);
        if k > SQUARINGS {
            // g is G^(N/2), all but G^(N/2 - 1); its trace is |A|_F² of the power before.
            return Top { sigma: ((log + of_g.log2()) / (2.0 * root)).exp2(), direction: Direction::Power(g) };
        }
    }
}

/// |B - c A|_F.
fn residual(b: &[f32], a: &[f32], c: f64) -> f64 {
    b.iter().zip(a).map(|(&b, &a)| (f64::from(b) - c * f64::from(a)).powi(2)).sum::<f64>().sqrt()
}
