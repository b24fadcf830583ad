//! The adjoint of Björck orthonormalization through all iterations.
//!
//! The iteration acts on singular values alone, W = U diag(s) Vᵀ to U diag(f(s)) Vᵀ. In the bases U and V its derivative
//! multiplies the symmetric part of a perturbation by (f(s_i) - f(s_j)) / (s_i - s_j), the skew part by
//! (f(s_i) + f(s_j)) / (s_i + s_j), and the rest by f(s_i) / s_i: it is its own adjoint. So the gradient is the derivative
//! of the iteration in the direction of the cotangent, and is computed forwards, beside what the value has left behind.
use super::bjorck::{
    Tape, bjorck_tape, bjorck_tape_length, bjorck_tape_scratch, next_defect, next_factors, next_power,
};
use super::matrix::Form;
use crate::simd::Level;

/// Small matrices that the derivative needs beside the tape.
const SMALL: usize = 7;
/// From this ratio of height to width on, two more steps on small matrices are cheaper than three large products.
const MERGE: f64 = 1.4;

/// Floats of scratch for [`bjorck_grad`].
pub fn bjorck_grad_scratch(m: usize, n: usize, iterations: usize) -> usize {
    let taped = bjorck_tape_scratch(m, n).max(bjorck_grad_from_tape_scratch(m, n));
    bjorck_tape_length(m, n, iterations) + m * n + taped
}

/// The gradient of [`super::bjorck`] with respect to `w` `[m, n]`, into `dw` `[m, n]`, given the one with respect to its
/// result, `d_out` `[m, n]`.
///
/// All iterations count, as if each were carried out, also where the value ends early at an orthonormal weight.
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
    let (tape, rest) = scratch.split_at_mut(bjorck_tape_length(m, n, iterations));
    let (value, rest) = rest.split_at_mut(m * n);
    bjorck_tape(level, w, m, n, iterations, beta, value, tape, rest);
    bjorck_grad_from_tape(level, w, m, n, iterations, beta, tape, d_out, dw, rest);
}

/// Floats of scratch for [`bjorck_grad_from_tape`].
pub fn bjorck_grad_from_tape_scratch(m: usize, n: usize) -> usize {
    let form = Form::new(Level::Portable, m, n);
    form.large() + SMALL * form.small() + form.work()
}

/// The same as [`bjorck_grad`] from the tape that [`bjorck_tape`] wrote for the same `w` and options.
#[expect(clippy::too_many_arguments, reason = "three matrices, two options and memory")]
pub fn bjorck_grad_from_tape(
    level: Level,
    w: &[f32],
    m: usize,
    n: usize,
    iterations: usize,
    beta: f32,
    tape: &[f32],
    d_out: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let form = Form::new(level, m, n);
    let (w, d_out, dw) = (&w[..m * n], &d_out[..m * n], &mut dw[..m * n]);
    if form.p == 0 || iterations == 0 {
        dw.copy_from_slice(d_out);
        return;
    }
    let tape = Tape::read(form, iterations, tape);
    let (other, rest) = scratch.split_at_mut(form.large());
    let (small, work) = rest.split_at_mut(SMALL * form.small());
    let mut tangents = Tangents::new(form, beta, small, work);
    let left_out = tape.path.used() < iterations;
    let merged = left_out && tape.path.converged() && form.q as f64 >= MERGE * form.p as f64;
    let blocks = tape.path.blocks() - usize::from(merged);
    // Directions alternate between two places, the last in `dw`.
    let mut places = if blocks % 2 == 1 { [dw, other] } else { [other, dw] };
    for block in 0..blocks {
        let x = if block == 0 { w } else { tape.x(block) };
        let [to, from] = &mut places;
        let d = if block == 0 { d_out } else { &**from };
        tangents.enter(x, d);
        let steps = tape.path.steps(block);
        for k in steps.start + 1..steps.end {
            tangents.advance(tape.e(k - 1), tape.f(k - 1), tape.p(k - 1), tape.e(k));
        }
        let last = steps.end - 1;
        let mut power = tape.p(last);
        if block + 1 == blocks && merged {
            tangents.merge(tape.e(last), power);
            power = tangents.merged;
        } else if block + 1 == blocks && left_out {
            tangents.finish(tape.e(last));
        }
        form.apply(d, power, to, false);
        form.apply(x, tangents.power, to, true);
        places.swap(0, 1);
    }
}

/// Derivatives of the small matrices of a block in the direction at hand.
struct Tangents<'a> {
    form: Form,
    beta: f32,
    /// Of E.
    defect: &'a mut [f32],
    /// Of P.
    power: &'a mut [f32],
    spare: &'a mut [f32],
    other: &'a mut [f32],
    /// E² before a further iteration that is not on the tape, E and P after it.
    square: &'a mut [f32],
    next: &'a mut [f32],
    merged: &'a mut [f32],
    work: &'a mut [f32],
}

impl<'a> Tangents<'a> {
    fn new(form: Form, beta: f32, memory: &'a mut [f32], work: &'a mut [f32]) -> Self {
        let mut parts = memory.chunks_exact_mut(form.small());
        let mut part = || parts.next().unwrap_or_default();
        let (defect, power, spare, other) = (part(), part(), part(), part());
        let (square, next, merged) = (part(), part(), part());
        Tangents { form, beta, defect, power, spare, other, square, next, merged, work }
    }

    /// Begins a block at X in the direction D: dE = -(Xᵀ D + Dᵀ X), dP = beta dE.
    fn enter(&mut self, x: &[f32], d: &[f32]) {
        self.form.inner(x, d, self.spare, self.work);
        self.form.symmetrize(self.spare, -1.0, &[], self.defect);
        self.power.iter_mut().zip(&*self.defect).for_each(|(p, e)| *p = self.beta * e);
    }

    /// An iteration from E, F = E² and P to E = `next` and P S: dF = E dE + dE E, dE <- (1 - 2 beta) dE +
    /// (2 beta - beta²) dF + beta² (dF E + F dE), dP <- dP S + beta P dE.
    fn advance(&mut self, e: &[f32], f: &[f32], power: &[f32], next: &[f32]) {
        let (form, [linear, square, cube]) = (self.form, next_factors(self.beta));
        form.product(e, self.defect, self.spare);
        form.symmetrize(self.spare, 1.0, &[], self.other);
        let plus = [(square, &*self.other), (linear, &*self.defect)];
        let plus = &plus[..if linear == 0.0 { 1 } else { 2 }];
        let products = [form.pair(self.other, e), form.pair(f, self.defect)];
        form.symmetric(&products, cube, plus, self.spare, self.work);
        std::mem::swap(&mut self.defect, &mut self.spare);
        let products = [form.pair(self.power, next), form.pair(power, self.defect)];
        form.symmetric(&products, self.beta, &[(1.0, self.power)], self.other, self.work);
        std::mem::swap(&mut self.power, &mut self.other);
    }

    /// The iteration after E, which is nearly zero: its defect is zero to rounding, dE <- 3/4 (E dE + dE E) is not. What
    /// follows has no effect.
    fn finish(&mut self, e: &[f32]) {
        let (form, [_, square, _]) = (self.form, next_factors(self.beta));
        form.product(e, self.defect, self.spare);
        form.symmetrize(self.spare, self.beta * square, &[(1.0, self.power)], self.other);
        std::mem::swap(&mut self.power, &mut self.other);
    }

    /// The iteration after E and P, which brings the weight nearly to the end, and the one after that; the last that the
    /// value has carried out only rounds off. P S is then in `merged`.
    fn merge(&mut self, e: &[f32], power: &[f32]) {
        let form = self.form;
        form.symmetric(&[form.pair(e, e)], 1.0, &[], self.square, self.work);
        next_defect(&form, self.beta, e, self.square, self.next, self.work);
        next_power(&form, self.beta, power, self.next, self.merged, self.work);
        let (square, next) = (std::mem::take(&mut self.square), std::mem::take(&mut self.next));
        self.advance(e, square, power, next);
        form.product(next, self.defect, self.spare);
        form.symmetrize(self.spare, next_factors(self.beta)[1], &[], self.defect);
        (self.square, self.next) = (square, next);
        let products = [form.pair(self.merged, self.defect)];
        form.symmetric(&products, self.beta, &[(1.0, self.power)], self.other, self.work);
        std::mem::swap(&mut self.power, &mut self.other);
    }
}
