//! The adjoint of Björck orthonormalization through all iterations, block by block in reverse.
use super::bjorck::{Slots, iterate, most_blocks, restart, slot};
use super::matrix::{Side, from_tall, inner, product, step, symmetric, to_tall};
use crate::simd::Level;

/// Small matrices that the backward pass needs beside the tape.
const SMALL: usize = 6;

/// How many X, and how many G and P, the tape holds: all that the backward pass reads.
fn tape(m: usize, n: usize, iterations: usize) -> (usize, usize, usize) {
    let (restart, steps) = (restart(m, n), iterations.max(1));
    // In blocks of one iteration P is S, a function of G.
    (most_blocks(steps, restart) + 1, steps.max(2), if restart == 1 { 1 } else { steps.max(2) })
}

/// Floats of scratch for [`bjorck_grad`].
pub fn bjorck_grad_scratch(m: usize, n: usize, iterations: usize) -> usize {
    let (x, g, p) = tape(m, n, iterations);
    (x + 2) * m * n + (g + p + SMALL) * m.min(n).pow(2)
}

/// The gradient of [`super::bjorck`] with respect to `w` `[m, n]`, into `dw` `[m, n]`, given the one with respect to its
/// result, `d_out` `[m, n]`.
///
/// All iterations count, as if each were carried out: where the forward pass ends early at an orthonormal Y, each left
/// out iteration has the derivative dY - Y sym(Yᵀ dY), a projection, which is applied once.
#[expect(clippy::too_many_arguments, reason = "two matrices, two options and memory")]
pub fn bjorck_grad(
    level: Level,
    w: &[f32],
    m: usize,
    n: usize,
    iterations: usize,
    beta: f32,
    d_out: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let (p, q) = (m.min(n), m.max(n));
    let (w, d_out, dw) = (&w[..m * n], &d_out[..m * n], &mut dw[..m * n]);
    if p == 0 {
        return;
    }
    let (large, small, restart) = (q * p, p * p, restart(m, n));
    let (x_count, g_count, p_count) = tape(m, n, iterations);
    let (x, rest) = scratch.split_at_mut(x_count * large);
    let (d, rest) = rest.split_at_mut(large);
    let (dx, rest) = rest.split_at_mut(large);
    let (g, rest) = rest.split_at_mut(g_count * small);
    let (powers, work) = rest.split_at_mut(p_count * small);
    let work = &mut work[..SMALL * small];
    to_tall(w, m, n, &mut x[..large]);
    to_tall(d_out, m, n, d);
    let mut tape = Slots { x: &mut *x, g: &mut *g, p: &mut *powers, work: &mut *work };
    let path = iterate(level, (q, p), iterations, restart, beta, &mut tape);
    if path.used < iterations {
        project(level, slot(x, path.blocks, large), p, d, work);
    }
    let (mut d, mut dx) = (d, dx);
    for block in (0..path.blocks).rev() {
        let steps = path.steps(block, restart);
        let in_tape = steps.start * small..steps.end * small;
        let kept = Block {
            x: slot(x, block, large),
            g: &g[in_tape.clone()],
            powers: if restart == 1 { &[] } else { &powers[in_tape] },
        };
        reverse(level, &kept, p, beta, d, dx, work);
        std::mem::swap(&mut d, &mut dx);
    }
    from_tall(d, m, n, dw);
}

/// What the tape holds of one block.
struct Block<'a> {
    x: &'a [f32],
    /// G before each iteration.
    g: &'a [f32],
    /// P after each iteration; empty where the block has one.
    powers: &'a [f32],
}

/// dX of Y = X P, P and G as in [`iterate`], from dY in `d`:
/// dX = dY P + 2 X sym(dG), dP = Xᵀ dY, and for each iteration in reverse
/// dS = P_beforeᵀ dP + dG S G + G S dG, dP <- dP S, dG <- S dG S - beta sym(dS).
fn reverse(level: Level, block: &Block<'_>, p: usize, beta: f32, d: &[f32], dx: &mut [f32], work: &mut [f32]) {
    let small = p * p;
    let mut parts = work.chunks_exact_mut(small);
    let mut next = || parts.next().unwrap_or_default();
    let (s, mut dp, ds, dg, mut t, u) = (next(), next(), next(), next(), next(), next());
    let steps = block.g.len() / small;
    inner(level, block.x, d, p, dp);
    for (k, g) in block.g.chunks_exact(small).enumerate().rev() {
        step(g, p, beta, s);
        if k + 1 == steps {
            let after = if steps == 1 { &*s } else { &block.powers[k * small..] };
            product(level, d, Side::Plain, after, p, dx, false);
        }
        if k == 0 {
            ds.copy_from_slice(dp);
        } else {
            product(level, &block.powers[(k - 1) * small..k * small], Side::Transposed, dp, p, ds, false);
            product(level, dp, Side::Plain, s, p, t, false);
            std::mem::swap(&mut dp, &mut t);
        }
        if k + 1 == steps {
            dg.fill(0.0);
        } else {
            product(level, dg, Side::Plain, s, p, t, false);
            product(level, t, Side::Plain, g, p, u, false);
            add_symmetric(u, p, 1.0, ds);
            symmetric(level, s, t, p, dg);
        }
        add_symmetric(ds, p, -0.5 * beta, dg);
    }
    dg.iter_mut().for_each(|v| *v *= 2.0);
    product(level, block.x, Side::Plain, dg, p, dx, true);
}

/// to += factor (from + fromᵀ).
fn add_symmetric(from: &[f32], p: usize, factor: f32, to: &mut [f32]) {
    for i in 0..p {
        for j in 0..p {
            to[i * p + j] += factor * (from[i * p + j] + from[j * p + i]);
        }
    }
}

/// d <- d - Y sym(Yᵀ d): the derivative of an iteration at an orthonormal Y, for beta = 1/2.
fn project(level: Level, y: &[f32], p: usize, d: &mut [f32], work: &mut [f32]) {
    let (h, rest) = work.split_at_mut(p * p);
    let sym = &mut rest[..p * p];
    inner(level, y, d, p, h);
    sym.fill(0.0);
    add_symmetric(h, p, -0.5, sym);
    product(level, y, Side::Plain, sym, p, d, true);
}
