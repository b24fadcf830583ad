//! The adjoint of Björck orthonormalization through all iterations.
//!
//! The iteration acts on singular values alone, W = U diag(s) Vᵀ to U diag(f(s)) Vᵀ. In the bases U and V its derivative
//! multiplies the symmetric part of a perturbation by (f(s_i) - f(s_j)) / (s_i - s_j), the skew part by
//! (f(s_i) + f(s_j)) / (s_i + s_j), and the rest by f(s_i) / s_i: it is its own adjoint. So the gradient is the derivative
//! of the iteration in the direction of the cotangent, and is computed forwards, beside the value, with no tape.
use super::bjorck::{
    End, Follow, Slots, bjorck_kept_length, bjorck_kept_scratch, iterate, next_defect, next_factors, next_power,
};
use super::matrix::Form;
use super::polar;
use crate::simd::Level;

/// Small matrices that the derivative needs beside the value's.
const SMALL: usize = 7;
/// From this ratio of height to width on, two more steps on small matrices are cheaper than three large products.
const MERGE: f64 = 1.4;

/// Floats of scratch for [`bjorck_grad`].
pub fn bjorck_grad_scratch(m: usize, n: usize) -> usize {
    m * n + bjorck_kept_length(m, n) + bjorck_kept_scratch(m, n).max(bjorck_grad_from_kept_scratch(m, n))
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
    let (value, rest) = scratch.split_at_mut(m * n);
    let (kept, rest) = rest.split_at_mut(bjorck_kept_length(m, n));
    polar::decline(kept);
    let form = Form::new(level, m, n);
    if form.p > 0 {
        polar::value(&form, iterations, beta, &w[..m * n], value, kept, rest);
    }
    bjorck_grad_from_kept(level, w, m, n, iterations, beta, value, kept, d_out, dw, rest);
}

/// Floats of scratch for [`bjorck_grad_from_kept`].
pub fn bjorck_grad_from_kept_scratch(m: usize, n: usize) -> usize {
    let form = Form::new(Level::Portable, m, n);
    polar::gradient_scratch(&form).max(form.large() + SMALL * form.small() + form.work() + Slots::floats(&form))
}

/// The same as [`bjorck_grad`] from `value` and `kept` as [`super::bjorck_kept`] wrote them for the same `w` and options.
#[expect(clippy::too_many_arguments, reason = "four matrices, two options and memory")]
pub fn bjorck_grad_from_kept(
    level: Level,
    w: &[f32],
    m: usize,
    n: usize,
    iterations: usize,
    beta: f32,
    value: &[f32],
    kept: &[f32],
    d_out: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let form = Form::new(level, m, n);
    let (w, value, d_out, dw) = (&w[..m * n], &value[..m * n], &d_out[..m * n], &mut dw[..m * n]);
    if form.p == 0 || iterations == 0 {
        dw.copy_from_slice(d_out);
        return;
    }
    if let Some(root) = polar::root(&form, kept) {
        return polar::gradient(&form, w, value, root, d_out, dw, scratch);
    }
    let (slots, rest) = scratch.split_at_mut(Slots::floats(&form));
    let (other, rest) = rest.split_at_mut(form.large());
    let (small, work) = rest.split_at_mut(SMALL * form.small());
    let mut tangents = Tangents::new(form, beta, d_out, [&mut *dw, &mut *other], small, work);
    iterate(&form, iterations, beta, w, None, Slots::new(&form, slots), &mut tangents);
    if tangents.blocks.is_multiple_of(2) {
        dw.copy_from_slice(other);
    }
}

/// Derivatives of the small matrices of a block in the direction at hand.
struct Tangents<'a> {
    form: Form,
    beta: f32,
    /// The direction that is given, and two places for those of further blocks.
    given: &'a [f32],
    places: [&'a mut [f32]; 2],
    /// Blocks that have ended; the last has written the first of the places if it is odd, else the second.
    blocks: usize,
    /// Of E.
    defect: &'a mut [f32],
    /// Of P.
    power: &'a mut [f32],
    spare: &'a mut [f32],
    other: &'a mut [f32],
    /// E² before a further iteration that the value leaves out, E and P after it.
    square: &'a mut [f32],
    next: &'a mut [f32],
    merged: &'a mut [f32],
    work: &'a mut [f32],
}

impl Follow for Tangents<'_> {
    /// Begins a block at X in the direction D: dE = -(Xᵀ D + Dᵀ X), dP = beta dE.
    fn enter(&mut self, x: &[f32]) {
        let d = if self.blocks == 0 { self.given } else { &*self.places[(self.blocks - 1) % 2] };
        self.form.inner(x, d, self.spare, self.work);
        self.form.symmetrize(self.spare, -1.0, &[], self.defect);
        self.power.iter_mut().zip(&*self.defect).for_each(|(p, e)| *p = self.beta * e);
    }

    fn advance(&mut self, e: &[f32], f: &[f32], power: &[f32], next: &[f32]) {
        self.step(e, f, power, next);
    }

    /// D <- D P + X dP.
    fn leave(&mut self, x: &[f32], e: &[f32], power: &[f32], end: End) -> bool {
        let merges = end == End::Converged && self.form.q as f64 >= MERGE * self.form.p as f64;
        if merges {
            self.merge(e, power);
        } else if end == End::Orthonormal {
            self.finish(e);
        }
        let [first, second] = &mut self.places;
        let (to, from) = if self.blocks.is_multiple_of(2) { (first, second) } else { (second, first) };
        let d = if self.blocks == 0 { self.given } else { &**from };
        self.form.apply(d, if merges { self.merged } else { power }, to, false);
        self.form.apply(x, self.power, to, true);
        self.blocks += 1;
        merges
    }
}

impl<'a> Tangents<'a> {
    fn new(
        form: Form,
        beta: f32,
        given: &'a [f32],
        places: [&'a mut [f32]; 2],
        memory: &'a mut [f32],
        work: &'a mut [f32],
    ) -> Self {
        let mut parts = memory.chunks_exact_mut(form.small());
        let mut part = || parts.next().unwrap_or_default();
        let (defect, power, spare, other) = (part(), part(), part(), part());
        let (square, next, merged) = (part(), part(), part());
        Tangents { form, beta, given, places, blocks: 0, defect, power, spare, other, square, next, merged, work }
    }

    /// An iteration from E, F = E² and P to E = `next` and P S: dF = E dE + dE E, dE <- (1 - 2 beta) dE +
    /// (2 beta - beta²) dF + beta² (dF E + F dE), dP <- dP S + beta P dE.
    fn step(&mut self, e: &[f32], f: &[f32], power: &[f32], next: &[f32]) {
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
        self.step(e, square, power, next);
        form.product(next, self.defect, self.spare);
        form.symmetrize(self.spare, next_factors(self.beta)[1], &[], self.defect);
        (self.square, self.next) = (square, next);
        let products = [form.pair(self.merged, self.defect)];
        form.symmetric(&products, self.beta, &[(1.0, self.power)], self.other, self.work);
        std::mem::swap(&mut self.power, &mut self.other);
    }
}
