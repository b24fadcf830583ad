//! The largest eigenvalue of a Gram matrix where it is by itself: Lanczos' method finds it in a few products with vectors,
//! a Cholesky factorization proves that no other eigenvalue is as large.
use super::matrix::{Form, dot, scale};
use crate::kernels::gemm::{Gemm, gemm};

/// Smaller matrices are squared as quickly.
pub(super) const LEAST: usize = 128;
/// Vectors at most; spectra that need more are squared.
const MOST_VECTORS: usize = 96;
/// Vectors for a guess of the whole spectrum.
const GUESS: usize = 12;
/// Between two looks at the eigenvalue.
const LOOK: usize = 8;
/// |G v - theta v| of the eigenvector, relative to the eigenvalue: rounding of the products in float32.
const RESIDUAL: f64 = 3e-7;
/// Vectors whose length has fallen to this share of the eigenvalue are rounding: the start lies in few eigenspaces.
const EXHAUSTED: f64 = 1e-6;
/// Vectors whose length has fallen to this share are made orthogonal once more (Daniel et al. 1976).
const SHORT: f64 = 1e-2;
/// All other eigenvalues are proved to be smaller by at least this share, several roundings of the factorization.
const APART: f64 = 2e-5;
/// Rows of a block of the factorization.
const BLOCK: usize = 32;

/// The largest eigenvalue of G `[p, p]`, p >= [`LEAST`], with its unit vector in `vector`; nothing where it cannot be told
/// from others, or not soon. `memory` are p² floats.
pub(super) fn dominant(form: &Form, g: &[f32], vector: &mut [f32], memory: &mut [f32]) -> Option<f64> {
    let theta = lanczos(form, g, vector, memory)?;
    others_are_below(form, g, theta, vector, memory).then_some(theta)
}

/// The largest Ritz value of G and its vector, once it is converged.
fn lanczos(form: &Form, g: &[f32], vector: &mut [f32], basis: &mut [f32]) -> Option<f64> {
    start(&mut basis[..form.p]);
    let product = |q: &[f32], image: &mut [f32]| times(form, g, q, image);
    let (theta, end) = largest_ritz(MOST_VECTORS.min(form.p - 1), |_| RESIDUAL, product, vector, basis);
    (end == End::Converged).then_some(theta)
}

/// G q for a symmetric G `[p, p]`.
fn times(form: &Form, g: &[f32], q: &[f32], image: &mut [f32]) {
    let p = form.p;
    let (a, b, c) = (q, g, image);
    let (a_strides, b_row_stride, c_row_stride) = ((p, 1), p, p);
    gemm(form.level, Gemm { m: 1, n: p, k: p, a, a_strides, b, b_row_stride, c, c_row_stride, accumulate: false });
}

/// Between which numbers the eigenvalues of G `[p, p]` seem to lie, from a few products with vectors: a guess that many of them do not
/// exceed by much. NaN where an entry is.
pub(super) fn extremes(form: &Form, g: &[f32]) -> [f64; 2] {
    let p = form.p;
    let [mut before, mut q, mut next] = [(); 3].map(|()| vec![0.0; p]);
    let (mut diagonal, mut beside) = (Vec::with_capacity(GUESS), Vec::with_capacity(GUESS));
    start(&mut q);
    unit(&mut q);
    for j in 0..GUESS.min(p) {
        times(form, g, &q, &mut next);
        let along = dot(&q, &next);
        let back = if j == 0 { 0.0 } else { beside[j - 1] };
        let (along_q, along_before) = (along as f32, back as f32);
        next.iter_mut().zip(&q).zip(&before).for_each(|((n, q), b)| *n -= along_q * q + along_before * b);
        let length = dot(&next, &next).sqrt();
        diagonal.push(along);
        if length.is_nan() || length <= EXHAUSTED * along {
            break;
        }
        beside.push(length);
        scale(&mut next, (1.0 / length) as f32);
        (before, q, next) = (q, next, before);
    }
    if diagonal.iter().any(|v| !v.is_finite()) {
        return [f64::NAN; 2];
    }
    beside.truncate(diagonal.len() - 1);
    let (high, _) = largest(&diagonal, &beside);
    let negative: Vec<f64> = diagonal.iter().map(|v| -v).collect();
    let (low, _) = largest(&negative, &beside);
    [-low, high]
}

/// How Lanczos' method has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The residual is small.
    Converged,
    /// The vectors span all that the start lies in.
    Exhausted,
    /// Neither, with as many vectors as were allowed.
    Open,
}

/// The largest Ritz value of a symmetric operator without negative eigenvalues, and its unit vector, from at most `most` vectors: until
/// the residual is at most the share of the value that `residual` gives for so many vectors. Both are zero for a zero operator. `basis` has room for `most` + 1 vectors, of
/// which the first is the start; the vector's inner product with it is not negative.
pub(super) fn largest_ritz(
    most: usize,
    residual: impl Fn(usize) -> f64,
    product: impl Fn(&[f32], &mut [f32]),
    vector: &mut [f32],
    basis: &mut [f32],
) -> (f64, End) {
    let p = vector.len();
    let (mut diagonal, mut beside) = (Vec::with_capacity(most), Vec::with_capacity(most));
    unit(&mut basis[..p]);
    for j in 0..most {
        let (known, rest) = basis[..(j + 2) * p].split_at_mut((j + 1) * p);
        let q = &known[j * p..];
        product(q, rest);
        diagonal.push(dot(q, rest));
        // Against all vectors, not only the last two: rounding would let the first come back.
        let mut orthogonalize = || {
            for q in known.chunks_exact(p).rev() {
                let overlap = dot(q, rest) as f32;
                rest.iter_mut().zip(q).for_each(|(r, q)| *r -= overlap * q);
            }
            dot(rest, rest).sqrt()
        };
        let mut length = orthogonalize();
        let scale_of_g = diagonal.iter().fold(0.0, |m: f64, &v| m.max(v));
        // What is left of a vector may be rounding of what was taken off, which is at right angles to nothing.
        if length <= SHORT * scale_of_g {
            length = orthogonalize();
        }
        beside.push(length);
        if scale_of_g == 0.0 {
            vector.fill(0.0);
            return (0.0, End::Exhausted);
        }
        let exhausted = length.is_nan() || length <= EXHAUSTED * scale_of_g;
        if !exhausted {
            scale(rest, (1.0 / length) as f32);
        }
        if exhausted || (j + 1) % LOOK == 0 || j + 1 == most {
            let (theta, s) = largest(&diagonal, &beside[..j]);
            let converged = length * s[j].abs() <= residual(j + 1) * theta;
            if exhausted || converged || j + 1 == most {
                combine(&s, &basis[..(j + 1) * p], vector);
                let end = if exhausted {
                    End::Exhausted
                } else if converged {
                    End::Converged
                } else {
                    End::Open
                };
                return (theta, end);
            }
        }
    }
    (0.0, End::Open)
}

/// A vector without structure: uniform numbers from a linear congruential generator (Numerical Recipes).
fn start(q: &mut [f32]) {
    let mut state = 1u32;
    for v in &mut *q {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *v = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
}

fn unit(q: &mut [f32]) {
    let length = dot(q, q).sqrt();
    scale(q, (1.0 / length) as f32);
}

/// The unit vector along the sum of s[i] times row i, with a share of the first row that is not negative.
fn combine(s: &[f64], rows: &[f32], vector: &mut [f32]) {
    vector.fill(0.0);
    let sign = if s[0] < 0.0 { -1.0 } else { 1.0 };
    for (s, row) in s.iter().zip(rows.chunks_exact(vector.len())) {
        vector.iter_mut().zip(row).for_each(|(v, r)| *v += sign * *s as f32 * r);
    }
    unit(vector);
}

/// The largest eigenvalue of a symmetric tridiagonal matrix, by bisection, and its unit vector, by inverse iteration.
fn largest(diagonal: &[f64], beside: &[f64]) -> (f64, Vec<f64>) {
    let n = diagonal.len();
    let neighbour = |i: usize| if i < beside.len() { beside[i].abs() } else { 0.0 };
    let row = |i: usize| diagonal[i] + neighbour(i) + if i > 0 { neighbour(i - 1) } else { 0.0 };
    // Gershgorin's bound, and the largest entry of the diagonal.
    let mut high = (0..n).map(row).fold(f64::MIN, f64::max);
    let mut low = diagonal.iter().copied().fold(f64::MIN, f64::max);
    // x I - T is positive definite, all pivots are positive, where x is above all eigenvalues.
    let above = |x: f64| {
        let mut pivot = x - diagonal[0];
        (1..n).all(|i| {
            let positive = pivot > 0.0;
            pivot = x - diagonal[i] - beside[i - 1].powi(2) / pivot;
            positive
        }) && pivot > 0.0
    };
    high += 1e-15 * high.abs();
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high || high - low <= 1e-14 * high.abs() {
            break;
        }
        if above(middle) { high = middle } else { low = middle }
    }
    // high I - T = L D Lᵀ, without pivots as it is positive definite.
    let mut pivots = vec![high - diagonal[0]; n];
    for i in 1..n {
        pivots[i] = high - diagonal[i] - beside[i - 1].powi(2) / pivots[i - 1];
    }
    let mut s = vec![1.0; n];
    for _ in 0..3 {
        for i in 1..n {
            s[i] += beside[i - 1] / pivots[i - 1] * s[i - 1];
        }
        s.iter_mut().zip(&pivots).for_each(|(s, pivot)| *s /= pivot);
        for i in (0..n - 1).rev() {
            s[i] += beside[i] / pivots[i] * s[i + 1];
        }
        let length = s.iter().map(|v| v * v).sum::<f64>().sqrt();
        s.iter_mut().for_each(|v| *v /= length);
    }
    (high, s)
}

/// Whether (1 - [`APART`]) theta I - (G - theta v vᵀ) is positive definite, by factorizing it as Uᵀ U in blocks of rows.
fn others_are_below(form: &Form, g: &[f32], theta: f64, v: &[f32], memory: &mut [f32]) -> bool {
    let p = form.p;
    let negative = &mut memory[..p * p];
    for (i, (to, g)) in negative.chunks_exact_mut(p).zip(g.chunks_exact(p)).enumerate() {
        let factor = (theta * f64::from(v[i])) as f32;
        to.iter_mut().zip(g).zip(v).for_each(|((to, g), v)| *to = g - factor * v);
        to[i] = (f64::from(to[i]) - theta * (1.0 - APART)) as f32;
    }
    for from in (0..p).step_by(BLOCK) {
        let height = BLOCK.min(p - from);
        let (done, rest) = negative.split_at_mut(from * p);
        let rows = &mut rest[..height * p];
        if from > 0 {
            let u = &done[from..];
            let (m, n) = (height, p - from);
            let c = &mut rows[from..];
            gemm(
                form.level,
                Gemm {
                    m,
                    n,
                    k: from,
                    a: u,
                    a_strides: (1, p),
                    b: u,
                    b_row_stride: p,
                    c,
                    c_row_stride: p,
                    accumulate: true,
                },
            );
        }
        for j in 0..height {
            let (above, below) = rows.split_at_mut((j + 1) * p);
            let row = &mut above[j * p + from + j..];
            let pivot = -row[0];
            if pivot.is_nan() || pivot <= 0.0 {
                return false;
            }
            scale(row, -1.0 / pivot.sqrt());
            for (i, other) in below.chunks_exact_mut(p).enumerate() {
                let factor = row[i + 1];
                other[from + j + i + 1..].iter_mut().zip(&row[i + 1..]).for_each(|(o, r)| *o += factor * r);
            }
        }
    }
    true
}
