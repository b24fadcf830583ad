//! Products of tall and of small symmetric matrices, row-major, for this folder.
use crate::kernels::gemm::{Gemm, gemm};
use crate::simd::Level;

/// Columns computed at once where a result is symmetric: what lies wholly below the diagonal is mirrored instead.
const PANEL: usize = 32;
/// Rows summed before the sum is added up: keeps the rounding of long Gram sums at that of short ones.
const DEPTH: usize = 256;
/// Edge of the blocks that a transposition moves.
const BLOCK: usize = 16;

/// A's rows and columns swapped where A is stored row-major with `p` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Plain,
    Transposed,
}

/// C = A B (added to C if `accumulate`): A `[rows, p]`, B `[p, p]`, C `[rows, p]`.
pub(super) fn product(level: Level, a: &[f32], side: Side, b: &[f32], p: usize, c: &mut [f32], accumulate: bool) {
    let a_strides = if side == Side::Plain { (p, 1) } else { (1, p) };
    let m = c.len() / p;
    gemm(level, Gemm { m, n: p, k: p, a, a_strides, b, b_row_stride: p, c, c_row_stride: p, accumulate });
}

/// C = Aᵀ B: A and B `[q, p]`, C `[p, p]`.
pub(super) fn inner(level: Level, a: &[f32], b: &[f32], p: usize, c: &mut [f32]) {
    for (i, (a, b)) in a.chunks(DEPTH * p).zip(b.chunks(DEPTH * p)).enumerate() {
        let (k, accumulate) = (a.len() / p, i > 0);
        gemm(
            level,
            Gemm { m: p, n: p, k, a, a_strides: (1, p), b, b_row_stride: p, c: &mut *c, c_row_stride: p, accumulate },
        );
    }
}

/// G = XᵀX for X `[q, p]`; exactly symmetric.
pub(super) fn gram(level: Level, x: &[f32], p: usize, g: &mut [f32]) {
    for (i, x) in x.chunks(DEPTH * p).enumerate() {
        upper(level, x, (1, p), x, x.len() / p, p, g, i > 0);
    }
    mirror(g, p);
}

/// C = A B for `[p, p]` matrices whose product is symmetric; C is exactly so.
pub(super) fn symmetric(level: Level, a: &[f32], b: &[f32], p: usize, c: &mut [f32]) {
    upper(level, a, (p, 1), b, p, p, c, false);
    mirror(c, p);
}

#[expect(clippy::too_many_arguments, reason = "the operands of one product")]
fn upper(
    level: Level,
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    k: usize,
    p: usize,
    c: &mut [f32],
    accumulate: bool,
) {
    for from in (0..p).step_by(PANEL) {
        let to = (from + PANEL).min(p);
        let (b, c) = (&b[from..], &mut c[from..]);
        gemm(level, Gemm { m: to, n: to - from, k, a, a_strides, b, b_row_stride: p, c, c_row_stride: p, accumulate });
    }
}

/// Copies what is above the diagonal below it.
fn mirror(c: &mut [f32], p: usize) {
    for i in 1..p {
        for j in 0..i {
            c[i * p + j] = c[j * p + i];
        }
    }
}

/// S = (1 + beta) I - beta G.
pub(super) fn step(g: &[f32], p: usize, beta: f32, s: &mut [f32]) {
    s.iter_mut().zip(g).for_each(|(s, g)| *s = -beta * g);
    (0..p).for_each(|i| s[i * (p + 1)] += 1.0 + beta);
}

/// `out` `[cols, rows]` is `from` `[rows, cols]` transposed.
pub(super) fn transpose(from: &[f32], rows: usize, cols: usize, out: &mut [f32]) {
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..cols).step_by(BLOCK) {
            for j in left..(left + BLOCK).min(cols) {
                let bottom = (top + BLOCK).min(rows);
                for (i, to) in (top..bottom).zip(&mut out[j * rows + top..j * rows + bottom]) {
                    *to = from[i * cols + j];
                }
            }
        }
    }
}

/// The tall form of `w` `[m, n]`.
pub(super) fn to_tall(w: &[f32], m: usize, n: usize, x: &mut [f32]) {
    if m >= n { x.copy_from_slice(w) } else { transpose(w, m, n, x) }
}

/// The weight `[m, n]` of a tall form.
pub(super) fn from_tall(x: &[f32], m: usize, n: usize, w: &mut [f32]) {
    if m >= n { w.copy_from_slice(x) } else { transpose(x, n, m, w) }
}

/// The sum of a[i] b[i], in float64.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0_f64; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f64 = a.remainder().iter().zip(b.remainder()).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    for (x, y) in a.zip(b) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += f64::from(x) * f64::from(y);
        }
    }
    sums.iter().sum::<f64>() + tail
}
