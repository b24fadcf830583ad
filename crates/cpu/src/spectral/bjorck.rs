//! Björck orthonormalization (Björck and Bowie, SIAM J. Numer. Anal. 8, 1971) in the space of Gram matrices.
//!
//! One iteration is X <- X S with S = I + beta E and the defect E = I - XᵀX. Within a block, P <- P S and
//! E <- (1 - 2 beta) E + (2 beta - beta²) E² + beta² E³ stand for it on p x p matrices, and X <- X P ends the block: so the
//! large products are needed once a block. What P has amplified, rounding of E included, bounds how long a block may be.
//! The last iteration is direct.
use super::matrix::{Form, dot};
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

/// Blocks at most: full ones, the last iteration by itself, and one that stopped early.
fn most_blocks(iterations: usize) -> usize {
    iterations.saturating_sub(1).div_ceil(RESTART) + 1
}

/// What the iteration did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    /// The number of blocks, whether the one before the last came so close that the last only rounds off, and for each
    /// block the number of iterations when it had ended.
    header: &'a [f32],
}

impl Path<'_> {
    pub fn blocks(&self) -> usize {
        self.header[0] as usize
    }

    pub fn converged(&self) -> bool {
        self.header[1] != 0.0
    }

    /// The iterations of block `b`.
    pub fn steps(&self, b: usize) -> std::ops::Range<usize> {
        let start = if b == 0 { 0 } else { self.header[b + 1] as usize };
        start..self.header[b + 2] as usize
    }

    /// Iterations carried out; where fewer than asked for, the result is orthonormal to rounding and stays as it is.
    pub fn used(&self) -> usize {
        self.steps(self.blocks() - 1).end
    }
}

/// Memory of the iteration: matrices in slots, each overwritten as many slots later as there are.
struct Slots<'a> {
    header: &'a mut [f32],
    /// X at the start of each block but the first.
    x: &'a mut [f32],
    /// E before each iteration.
    e: &'a mut [f32],
    /// The square of E before each iteration but the last of a block.
    f: &'a mut [f32],
    /// P after each iteration.
    p: &'a mut [f32],
}

/// How many slots there are.
#[derive(Clone, Copy)]
struct Counts {
    x: usize,
    e: usize,
    f: usize,
}

/// Enough to go on.
const FORGET: Counts = Counts { x: 2, e: 2, f: 1 };

/// Enough to keep everything.
fn keep(iterations: usize) -> Counts {
    Counts { x: most_blocks(iterations) - 1, e: iterations.max(1), f: iterations.saturating_sub(1).max(1) }
}

impl Counts {
    fn floats(&self, form: &Form, iterations: usize) -> usize {
        most_blocks(iterations) + 2 + self.x * form.large() + (2 * self.e + self.f) * form.small()
    }

    fn slots<'a>(&self, form: &Form, iterations: usize, memory: &'a mut [f32]) -> Slots<'a> {
        let (header, rest) = memory.split_at_mut(most_blocks(iterations) + 2);
        let (x, rest) = rest.split_at_mut(self.x * form.large());
        let (e, rest) = rest.split_at_mut(self.e * form.small());
        let (f, rest) = rest.split_at_mut(self.f * form.small());
        Slots { header, x, e, f, p: &mut rest[..self.e * form.small()] }
    }
}

/// What [`bjorck_tape`] has kept.
pub(super) struct Tape<'a> {
    pub path: Path<'a>,
    x: &'a [f32],
    e: &'a [f32],
    f: &'a [f32],
    p: &'a [f32],
    form: Form,
}

impl<'a> Tape<'a> {
    /// The tape in the memory that [`bjorck_tape`] has filled, without the value.
    pub fn read(form: Form, iterations: usize, memory: &'a [f32]) -> Self {
        let counts = keep(iterations);
        let (header, rest) = memory.split_at(most_blocks(iterations) + 2);
        let (x, rest) = rest.split_at(counts.x * form.large());
        let (e, rest) = rest.split_at(counts.e * form.small());
        let (f, p) = rest.split_at(counts.f * form.small());
        Tape { path: Path { header }, x, e, f, p, form }
    }

    /// X at the start of block `b`, which is not the first.
    pub fn x(&self, b: usize) -> &'a [f32] {
        &self.x[(b - 1) * self.form.large()..b * self.form.large()]
    }

    pub fn e(&self, k: usize) -> &'a [f32] {
        &self.e[k * self.form.small()..(k + 1) * self.form.small()]
    }

    pub fn f(&self, k: usize) -> &'a [f32] {
        &self.f[k * self.form.small()..(k + 1) * self.form.small()]
    }

    pub fn p(&self, k: usize) -> &'a [f32] {
        &self.p[k * self.form.small()..(k + 1) * self.form.small()]
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

/// Iterates from `w`, at least once; the result is in `out`.
fn iterate(
    form: &Form,
    iterations: usize,
    beta: f32,
    w: &[f32],
    out: &mut [f32],
    slots: &mut Slots<'_>,
    work: &mut [f32],
) {
    let (large, small) = (form.large(), form.small());
    let (mut used, mut blocks, mut nearly, mut converged, mut last) = (0, 0, false, false, false);
    while !last {
        let (x, after) = match blocks {
            0 => (w, slot(slots.x, 0, large)),
            _ => pair(slots.x, blocks - 1, large),
        };
        form.defect(x, slot(slots.e, used, small), work);
        nearly |= beta == 0.5 && within(slot(slots.e, used, small), NEARLY_ORTHONORMAL);
        last = nearly || used + 1 == iterations;
        step(slot(slots.e, used, small), form.p, beta, slot(slots.p, used, small));
        let (start, end) = (used, if last { used + 1 } else { iterations - 1 });
        used += 1;
        while used < end {
            let (e, next) = pair(slots.e, used - 1, small);
            if beta == 0.5 && within(e, CONVERGED) {
                (nearly, converged) = (true, true);
                break;
            }
            if used >= start + RESTART && !within(e, CLOSE) {
                break;
            }
            let f = slot(slots.f, used - 1, small);
            form.symmetric(&[form.pair(e, e)], 1.0, &[], f, work);
            next_defect(form, beta, e, f, next, work);
            let (before, power) = pair(slots.p, used - 1, small);
            next_power(form, beta, before, next, power, work);
            used += 1;
        }
        form.apply(x, slot(slots.p, used - 1, small), if last { &mut *out } else { after }, false);
        blocks += 1;
        slots.header[blocks + 1] = used as f32;
    }
    (slots.header[0], slots.header[1]) = (blocks as f32, f32::from(converged));
}

/// Matrix `k` of `slots`, modulo their number; empty where there are none.
fn slot(slots: &mut [f32], k: usize, length: usize) -> &mut [f32] {
    let at = if slots.is_empty() { 0 } else { k % (slots.len() / length) * length };
    let length = length.min(slots.len());
    &mut slots[at..at + length]
}

/// Matrix `k` to read and matrix `k + 1`, if there is one, to write.
fn pair(slots: &mut [f32], k: usize, length: usize) -> (&[f32], &mut [f32]) {
    let count = slots.len() / length;
    if count == 1 {
        return (slots, &mut []);
    }
    let (from, to) = (k % count * length, (k + 1) % count * length);
    if from < to {
        let (head, tail) = slots.split_at_mut(to);
        (&head[from..from + length], &mut tail[..length])
    } else {
        let (head, tail) = slots.split_at_mut(from);
        (&tail[..length], &mut head[to..to + length])
    }
}

/// S = I + beta E.
pub(super) fn step(e: &[f32], p: usize, beta: f32, s: &mut [f32]) {
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
pub fn bjorck_scratch(m: usize, n: usize, iterations: usize) -> usize {
    let form = Form::new(Level::Portable, m, n);
    FORGET.floats(&form, iterations) + form.work()
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
    run(Form::new(level, m, n), FORGET, w, iterations, beta, out, scratch);
}

/// Floats that [`bjorck_tape`] writes beside the value.
pub fn bjorck_tape_length(m: usize, n: usize, iterations: usize) -> usize {
    keep(iterations).floats(&Form::new(Level::Portable, m, n), iterations)
}

/// Floats of scratch for [`bjorck_tape`].
pub fn bjorck_tape_scratch(m: usize, n: usize) -> usize {
    Form::new(Level::Portable, m, n).work()
}

/// The same as [`bjorck`], with all that the gradient needs again in `tape`.
#[expect(clippy::too_many_arguments, reason = "a matrix, two options and memory")]
pub fn bjorck_tape(
    level: Level,
    w: &[f32],
    m: usize,
    n: usize,
    iterations: usize,
    beta: f32,
    out: &mut [f32],
    tape: &mut [f32],
    scratch: &mut [f32],
) {
    let form = Form::new(level, m, n);
    let (w, out) = (&w[..m * n], &mut out[..m * n]);
    if form.p == 0 || iterations == 0 {
        out.copy_from_slice(w);
        return;
    }
    let mut slots = keep(iterations).slots(&form, iterations, tape);
    iterate(&form, iterations, beta, w, out, &mut slots, scratch);
}

fn run(form: Form, counts: Counts, w: &[f32], iterations: usize, beta: f32, out: &mut [f32], scratch: &mut [f32]) {
    let length = form.large();
    let (w, out) = (&w[..length], &mut out[..length]);
    if form.p == 0 || iterations == 0 {
        out.copy_from_slice(w);
        return;
    }
    let (memory, work) = scratch.split_at_mut(counts.floats(&form, iterations));
    iterate(&form, iterations, beta, w, out, &mut counts.slots(&form, iterations, memory), work);
}
