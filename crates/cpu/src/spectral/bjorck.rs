//! Björck orthonormalization (Björck and Bowie, SIAM J. Numer. Anal. 8, 1971) in the space of Gram matrices.
//!
//! One iteration is X <- X S with S = (1 + beta) I - beta G, G = XᵀX. Within a block, P <- P S and G <- S G S stand for
//! it on p x p matrices, and X <- X P ends the block: so the large products are needed once in `RESTART` iterations.
//! Longer blocks would lose digits: G forgets small singular values that P amplifies. The last iteration is direct.
use super::matrix::{Side, from_tall, gram, product, step, symmetric, to_tall};
use crate::simd::Level;

/// Iterations in a block.
const RESTART: usize = 5;
/// Blocks pay off where the tall form is at least this many times taller than wide; below, iterations are direct.
const TALL: usize = 2;
/// With beta = 1/2 an iteration takes ‖I - G‖_F = e to 3/4 e²: after one more, 1e-4 is below float32's rounding.
const NEARLY_ORTHONORMAL: f64 = 1e-4;

/// Iterations in a block for this shape.
pub(super) fn restart(m: usize, n: usize) -> usize {
    if m.max(n) >= TALL * m.min(n) { RESTART } else { 1 }
}

/// Blocks at most: full ones, the last iteration by itself, and one that stopped early.
pub(super) fn most_blocks(iterations: usize, restart: usize) -> usize {
    iterations.saturating_sub(1).div_ceil(restart) + 1
}

/// What the iteration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Iterations carried out; where fewer than asked for, the result is orthonormal to rounding and stays as it is.
    pub used: usize,
    /// Blocks they were in: all of `restart` iterations but the last, which has one, and the one before.
    pub blocks: usize,
}

impl Path {
    /// The iterations of block `b`.
    pub fn steps(&self, b: usize, restart: usize) -> std::ops::Range<usize> {
        let start = |b: usize| if b + 1 == self.blocks { self.used - 1 } else { b * restart };
        start(b)..if b + 1 == self.blocks { self.used } else { start(b + 1) }
    }
}

/// Memory of the iteration: matrices in slots, each overwritten as many slots later as there are.
pub(super) struct Slots<'a> {
    /// X at the start of each block and after the last, `[q, p]` each.
    pub x: &'a mut [f32],
    /// G before each iteration, `[p, p]` each.
    pub g: &'a mut [f32],
    /// P after each iteration, `[p, p]` each.
    pub p: &'a mut [f32],
    /// Two `[p, p]` matrices.
    pub work: &'a mut [f32],
}

/// Iterates from the X in slot 0; the result is in slot `blocks`, modulo the number of slots.
pub(super) fn iterate(
    level: Level,
    (q, p): (usize, usize),
    iterations: usize,
    restart: usize,
    beta: f32,
    slots: &mut Slots<'_>,
) -> Path {
    let (large, small) = (q * p, p * p);
    let (s, t) = slots.work.split_at_mut(small);
    let mut path = Path { used: 0, blocks: 0 };
    let (mut nearly, mut last) = (false, false);
    while path.used < iterations && !last {
        let (x, next) = pair(slots.x, path.blocks, large);
        gram(level, x, p, slot(slots.g, path.used, small));
        nearly |= nearly_orthonormal(slot(slots.g, path.used, small), p, beta);
        last = nearly || path.used + 1 == iterations;
        let start = path.used;
        let mut end = if last { start + 1 } else { (iterations - 1).min(start + restart) };
        while path.used < end {
            let k = path.used;
            step(slot(slots.g, k, small), p, beta, s);
            if k == start {
                slot(slots.p, k, small).copy_from_slice(s);
            } else {
                let (before, after) = pair(slots.p, k - 1, small);
                product(level, before, Side::Plain, s, p, after, false);
            }
            path.used += 1;
            if path.used < end {
                let (g, after) = pair(slots.g, k, small);
                symmetric(level, s, g, p, t);
                symmetric(level, t, s, p, after);
                if nearly_orthonormal(after, p, beta) {
                    (nearly, end) = (true, path.used);
                }
            }
        }
        product(level, x, Side::Plain, slot(slots.p, path.used - 1, small), p, next, false);
        path.blocks += 1;
    }
    path
}

/// Matrix `k` of `slots`, modulo their number.
pub(super) fn slot(slots: &mut [f32], k: usize, length: usize) -> &mut [f32] {
    let at = k % (slots.len() / length) * length;
    &mut slots[at..at + length]
}

/// Matrix `k` to read and matrix `k + 1` to write; there are at least two.
fn pair(slots: &mut [f32], k: usize, length: usize) -> (&[f32], &mut [f32]) {
    let count = slots.len() / length;
    let (from, to) = (k % count * length, (k + 1) % count * length);
    if from < to {
        let (head, tail) = slots.split_at_mut(to);
        (&head[from..from + length], &mut tail[..length])
    } else {
        let (head, tail) = slots.split_at_mut(from);
        (&tail[..length], &mut head[to..to + length])
    }
}

/// Whether one more iteration makes the weight orthonormal to rounding. Only beta = 1/2 converges quadratically.
fn nearly_orthonormal(g: &[f32], p: usize, beta: f32) -> bool {
    let defect = |i: usize, j: usize| f64::from(g[i * p + j]) - if i == j { 1.0 } else { 0.0 };
    let mut sum = 0.0;
    for i in 0..p {
        sum += (0..p).map(|j| defect(i, j).powi(2)).sum::<f64>();
        if sum.is_nan() || sum > NEARLY_ORTHONORMAL.powi(2) {
            return false;
        }
    }
    beta == 0.5
}

/// Floats of scratch for [`bjorck`].
pub fn bjorck_scratch(m: usize, n: usize) -> usize {
    2 * m * n + 6 * m.min(n).pow(2)
}

/// `iterations` times W <- (1 + beta) W - beta W Wᵀ W on `w` `[m, n]`, into `out` `[m, n]`.
///
/// As exact as the iteration in the direct form; for weights of norm at most sqrt(3) all non-zero singular values go
/// towards 1 with beta = 1/2 (below (1 + 1/beta)^1/2 in general), and after the last iteration none is above 1 by more
/// than 2e-6. With beta = 1/2 it ends as soon as the weight is orthonormal to rounding. Weights of larger norm diverge
/// as the formula does, NaN and infinite entries spread.
#[expect(clippy::too_many_arguments, reason = "a matrix, two options and memory")]
pub fn bjorck(
    level: Level,
    w: &[f32],
    m: usize,
    n: usize,
    iterations: usize,
    beta: f32,
    out: &mut [f32],
    scratch: &mut [f32],
) {
    let (p, q) = (m.min(n), m.max(n));
    let (w, out) = (&w[..m * n], &mut out[..m * n]);
    if p == 0 {
        return;
    }
    let (x, rest) = scratch.split_at_mut(2 * q * p);
    let (g, rest) = rest.split_at_mut(2 * p * p);
    let (powers, rest) = rest.split_at_mut(2 * p * p);
    to_tall(w, m, n, &mut x[..q * p]);
    let mut slots = Slots { x, g, p: powers, work: &mut rest[..2 * p * p] };
    let path = iterate(level, (q, p), iterations, restart(m, n), beta, &mut slots);
    from_tall(slot(slots.x, path.blocks, q * p), m, n, out);
}
