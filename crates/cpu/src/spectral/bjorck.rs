//! Björck orthonormalization (Björck and Bowie, SIAM J. Numer. Anal. 8, 1971) in the space of Gram matrices.
//!
//! One iteration is X <- X S with S = I + beta E and the defect E = I - XᵀX. Within a block, P <- P S and
//! E <- (1 - 2 beta) E + (2 beta - beta²) E² + beta² E³ stand for it on p x p matrices, and X <- X P ends the block: so the
//! large products are needed once a block. What P has amplified, rounding of E included, bounds how long a block may be.
//! The last iteration is direct. Where singular values lie so close together that the iterations come to the polar factor, that is
//! computed in their place.
use super::matrix::{Form, dot};
use super::polar;
use crate::simd::Level;

/// Iterations in a block, unless it is close to its end: small singular values have then grown by 1.5^5, 7.6.
const RESTART: usize = 5;
/// A block goes on where ‖E‖_F² is at most this: no singular value is below 0.7 then, and none grows much more.
const CLOSE: f64 = 0.25;
/// With beta = 1/2 an iteration takes ‖E‖_F = e to 3/4 e²: after one more, 1e-4, of which this is the square, is below
/// float32's rounding. Only beta = 1/2 converges quadratically.
const NEARLY_ORTHONORMAL: f64 = 1e-8;
/// Where ‖E‖_F² is at most this the next iteration begins nearly orthonormal: 3/4 of it and a hundredth of a quarter.
const CONVERGED: f64 = 1.3e-4;
/// Entries of E that are looked at before the sum of their squares is compared.
const ROW: usize = 512;

/// Who goes along with the iterations. Matrices are those of [`iterate`].
pub(super) trait Follow {
    /// A block begins at X.
    fn enter(&mut self, x: &[f32]);
    /// An iteration of the block goes from E, F = E² and P to the next E.
    fn advance(&mut self, e: &[f32], f: &[f32], power: &[f32], next: &[f32]);
    /// The block ends, with these E and P before and after its last iteration; whether that is enough.
    fn leave(&mut self, x: &[f32], e: &[f32], power: &[f32], end: End) -> bool;
}

/// For the value alone.
impl Follow for () {
    fn enter(&mut self, _x: &[f32]) {}
    fn advance(&mut self, _e: &[f32], _f: &[f32], _power: &[f32], _next: &[f32]) {}
    fn leave(&mut self, _x: &[f32], _e: &[f32], _power: &[f32], _end: End) -> bool {
        false
    }
}

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Rounding has grown: the next begins with a product of the weight.
    Restart,
    /// What comes next begins nearly orthonormal, and the value only rounds it off.
    Converged,
    /// All iterations are carried out.
    Last,
    /// The same, but for those that change no more than rounding.
    Orthonormal,
}

/// Memory of the iteration, given out as it is.
pub(super) struct Slots<'a> {
    /// X of this block and the next.
    x: [&'a mut [f32]; 2],
    /// E before this iteration and the next.
    e: [&'a mut [f32]; 2],
    /// The square of E.
    f: &'a mut [f32],
    /// P after this iteration and the next.
    p: [&'a mut [f32]; 2],
    work: &'a mut [f32],
}

impl<'a> Slots<'a> {
    pub fn floats(form: &Form) -> usize {
        2 * form.large() + 5 * form.small() + form.work()
    }

    pub fn new(form: &Form, memory: &'a mut [f32]) -> Self {
        let (large, rest) = memory.split_at_mut(2 * form.large());
        let (x0, x1) = large.split_at_mut(form.large());
        let (small, work) = rest.split_at_mut(5 * form.small());
        let mut parts = small.chunks_exact_mut(form.small());
        let mut part = || parts.next().unwrap_or_default();
        Slots { x: [x0, x1], e: [part(), part()], f: part(), p: [part(), part()], work }
    }
}

/// The factors of E, E² and E³ in the defect after an iteration.
pub(super) fn next_factors(beta: f32) -> [f32; 3] {
    [1.0 - 2.0 * beta, 2.0 * beta - beta * beta, beta * beta]
}

/// The defect after an iteration, from E before it and F = E².
pub(super) fn next_defect(form: &Form, beta: f32, e: &[f32], f: &[f32], next: &mut [f32], work: &mut [f32]) {
    let [linear, square, cube] = next_factors(beta);
    let (plain, both) = ([(square, f)], [(square, f), (linear, e)]);
    form.symmetric(&[form.pair(f, e)], cube, if linear == 0.0 { &plain } else { &both }, next, work);
}

/// P S for S = I + beta E.
pub(super) fn next_power(form: &Form, beta: f32, power: &[f32], e: &[f32], next: &mut [f32], work: &mut [f32]) {
    form.symmetric(&[form.pair(power, e)], beta, &[(1.0, power)], next, work);
}

/// Iterates from `w`, at least once, until the last iteration or until `follow` has enough; the result of the last is in `out`, if
/// there is one.
pub(super) fn iterate(
    form: &Form,
    iterations: usize,
    beta: f32,
    w: &[f32],
    mut out: Option<&mut [f32]>,
    slots: Slots<'_>,
    follow: &mut impl Follow,
) {
    let Slots { x: [mut x, mut after], e: [mut e, mut next], f, p: [mut power, mut grown], work } = slots;
    let (mut used, mut blocks, mut nearly, mut last) = (0, 0, false, false);
    while !last {
        let start = if blocks == 0 { w } else { &*x };
        form.defect(start, e, work);
        follow.enter(start);
        nearly |= beta == 0.5 && within(e, NEARLY_ORTHONORMAL);
        last = nearly || used + 1 == iterations;
        step(e, form.p, beta, power);
        let (first, end) = (used, if last { used + 1 } else { iterations - 1 });
        used += 1;
        let mut how = End::Restart;
        while used < end {
            if beta == 0.5 && within(e, CONVERGED) {
                (nearly, how) = (true, End::Converged);
                break;
            }
            if used >= first + RESTART && !within(e, CLOSE) {
                break;
            }
            form.symmetric(&[form.pair(e, e)], 1.0, &[], f, work);
            next_defect(form, beta, e, f, next, work);
            next_power(form, beta, power, next, grown, work);
            follow.advance(e, f, power, next);
            std::mem::swap(&mut e, &mut next);
            std::mem::swap(&mut power, &mut grown);
            used += 1;
        }
        if last {
            how = if used < iterations { End::Orthonormal } else { End::Last };
        }
        if follow.leave(start, e, power, how) {
            return;
        }
        if !last {
            form.apply(start, power, after, false);
        } else if let Some(out) = &mut out {
            form.apply(start, power, out, false);
        }
        std::mem::swap(&mut x, &mut after);
        blocks += 1;
    }
}

/// S = I + beta E.
fn step(e: &[f32], p: usize, beta: f32, s: &mut [f32]) {
    s.iter_mut().zip(e).for_each(|(s, e)| *s = beta * e);
    (0..p).for_each(|i| s[i * (p + 1)] += 1.0);
}

/// Whether ‖E‖_F² is at most `limit`; not where E holds NaN.
fn within(e: &[f32], limit: f64) -> bool {
    let mut sum = 0.0;
    e.chunks(ROW).all(|part| {
        sum += dot(part, part);
        sum <= limit
    })
}

/// Floats of scratch for [`bjorck`].
pub fn bjorck_scratch(m: usize, n: usize) -> usize {
    bjorck_kept_length(m, n) + bjorck_kept_scratch(m, n)
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
    let (kept, scratch) = scratch.split_at_mut(bjorck_kept_length(m, n));
    bjorck_kept(level, w, m, n, iterations, beta, out, kept, scratch);
}

/// Floats that [`bjorck_kept`] writes beside the value.
pub fn bjorck_kept_length(m: usize, n: usize) -> usize {
    polar::kept_length(&Form::new(Level::Portable, m, n))
}

/// Floats of scratch for [`bjorck_kept`].
pub fn bjorck_kept_scratch(m: usize, n: usize) -> usize {
    let form = Form::new(Level::Portable, m, n);
    Slots::floats(&form).max(polar::value_scratch(&form))
}

/// The same as [`bjorck`], with what the gradient can use of it in `kept`.
#[expect(clippy::too_many_arguments, reason = "a matrix, two options and memory")]
pub fn bjorck_kept(
    level: Level,
    w: &[f32],
    m: usize,
    n: usize,
    iterations: usize,
    beta: f32,
    out: &mut [f32],
    kept: &mut [f32],
    scratch: &mut [f32],
) {
    let form = Form::new(level, m, n);
    let (w, out) = (&w[..m * n], &mut out[..m * n]);
    if form.p == 0 || iterations == 0 {
        out.copy_from_slice(w);
        polar::decline(kept);
        return;
    }
    if !polar::value(&form, iterations, beta, w, out, kept, scratch) {
        iterate(&form, iterations, beta, w, Some(out), Slots::new(&form, scratch), &mut ());
    }
}
