//! Björck orthonormalization where it has converged, by the polar factor that it converges to: its iterations are not carried out, and
//! the gradient needs no tape of them.
//!
//! X = U diag(s) Vᵀ goes to U Vᵀ = X P with P = (XᵀX)^(-1/2), whatever X is scaled by. On Gram matrices a few cubic steps with
//! the factors that are best for the spectrum bring singular values close together (Chen and Chow 2014). Where c² XᵀX = I - E
//! with ‖E‖ <= b < 1 then, P = c (I - E)^(-1/2) is a polynomial of E. What is taken for the spectrum decides how long this takes;
//! that it is right is shown by the norms of powers of E, which bound b, and so do singular values of X lie where the iterations asked
//! for come to the same, value and derivative, up to float32's rounding.
//!
//! The gradient in the direction D of the result Z is D P + Z (Y - P K)ᵀ with K = DᵀZ, where H Y + Y H = K - Kᵀ for H = P⁻¹
//! (the derivative of the polar factor: Kenney and Laub, SIAM J. Matrix Anal. Appl. 12, 1991). Y is antisymmetric, so that H Y + Y H is
//! one product less its transpose; conjugate gradients find Y in a few.
use super::lanczos::extremes;
use super::matrix::{Form, dot, each_part, scale};

/// ‖E‖ at most.
const WIDEST: f64 = 0.6;
/// Cubic steps are taken until the least singular value is this share of the largest.
const CLOSE: f64 = 0.8;
/// The least singular value, as a share of the largest, for which any are: at a larger condition the gradient of iterations takes no longer.
const LEAST: f64 = 0.1;
/// Cubic steps at most.
const MOST_STEPS: usize = 3;
/// More than 1: how far a cubic step stays away from singular values that it would take below 0.
const BELOW_ZERO: f64 = 1.05;
/// What the polynomial may leave out: half a unit of float32.
const TRUNCATED: f64 = 3e-8;
/// What may be left of K - Kᵀ, of its norm.
const UNSOLVED: f64 = 1e-6;
/// Products at most that are tried for it.
const MOST_PRODUCTS: usize = 40;
/// What iterations may leave of a singular value's distance from 1 and of a derivative that goes to 0.
const UNCONVERGED: f64 = 3e-8;
/// Rounding of powers that bound a norm.
const SLACK: f64 = 1e-5;
/// Powers of E at most.
const POWERS: usize = 4;
/// Powers of E that a polynomial is made of, and blocks of them (Paterson and Stockmeyer, SIAM J. Comput. 2, 1973): its degree
/// is their product, and it takes a product less than there are of each.
const SCHEMES: [(usize, usize); 6] = [(2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4)];
/// Places at which (1 - e)^(-1/2) is interpolated.
const NODES: usize = 32;
/// Small matrices that the value and the gradient need.
const OF_VALUE: usize = 8;
const OF_GRADIENT: usize = 6;

/// Floats that the gradient needs of how the value was made: whether it was, and P.
pub(super) fn kept_length(form: &Form) -> usize {
    1 + form.small()
}

/// Floats of scratch for [`value`].
pub(super) fn value_scratch(form: &Form) -> usize {
    form.large() + OF_VALUE * form.small() + form.work()
}

/// Floats of scratch for [`gradient`].
pub(super) fn gradient_scratch(form: &Form) -> usize {
    OF_GRADIENT * form.small() + form.work()
}

/// P in memory of [`kept_length`] that [`value`] was given; nothing where it has declined.
pub(super) fn root<'a>(form: &Form, kept: &'a [f32]) -> Option<&'a [f32]> {
    (kept[0] == 1.0).then(|| &kept[1..=form.small()])
}

/// Says in memory of [`kept_length`] that no value was made here.
pub(super) fn decline(kept: &mut [f32]) {
    kept[0] = 0.0;
}

/// The value of so many iterations on `x` into `out`, with what the gradient needs in `kept`; false, with neither, where it is not
/// shown to be the polar factor.
pub(super) fn value(
    form: &Form,
    iterations: usize,
    beta: f32,
    x: &[f32],
    out: &mut [f32],
    kept: &mut [f32],
    scratch: &mut [f32],
) -> bool {
    decline(kept);
    // Only beta = 1/2 converges so fast that it is worth a look.
    if beta != 0.5 {
        return false;
    }
    let (p, small) = (form.p, form.small());
    let (rough, rest) = scratch.split_at_mut(form.large());
    let (matrices, work) = rest.split_at_mut(OF_VALUE * small);
    let mut matrices = matrices.chunks_exact_mut(small);
    let mut matrix = || matrices.next().unwrap_or_default();
    let (mut defect, mut next, square, cube, fourth) = (matrix(), matrix(), matrix(), matrix(), matrix());
    let (mut sum, mut other, mut before) = (matrix(), matrix(), matrix());

    form.gram(x, 1.0, defect, work);
    let [mut low, mut high] = extremes(form, defect);
    // Not a number where an entry is not.
    if low.is_nan() || high.is_nan() || low <= LEAST * LEAST * high {
        return false;
    }
    // X times the product of the factors so far, `before`, has a Gram matrix within `low` and `high`; a small singular value has grown by `growth`.
    let (mut steps, mut growth, mut largest) = (0, 1.0, f64::NAN);
    let (c2, mut bound) = loop {
        let Some(c2) = centre(defect, p) else { return false };
        form.symmetric(&[form.pair(defect, defect)], 1.0, &[], square, work);
        let bound = norm_by(square, 2);
        if steps == 0 {
            largest = ((1.0 + bound) / c2).sqrt();
        }
        if low >= CLOSE * CLOSE * high {
            break (c2, bound);
        }
        if steps == MOST_STEPS {
            return false;
        }
        // s -> factor (s - s³ / width) for s / sqrt(high) in (0, 1] is at most 1, and the same at the least s and at 1.
        let share = (low / high).sqrt();
        let width = 1.0 + share + share * share;
        if steps == 0 {
            // Values above 1 are no harm as long as they stay positive, of which this much is known.
            high = high.max(BELOW_ZERO * largest * largest / width);
        }
        let least = (low / high).sqrt();
        let factor = 1.5 * (3.0 / width).sqrt();
        // In powers of E: XᵀX = (I - E) / c², the factor is a I + b E, and the next Gram matrix (I - E) (a I + b E)² / c².
        let b = factor / (width * high.powf(1.5) * c2);
        let a = factor / high.sqrt() - b;
        let [of_cube, of_square, linear] = [-b * b, b * b - 2.0 * a * b, 2.0 * a * b - a * a].map(|v| (v / c2) as f32);
        form.symmetric(&[form.pair(square, defect)], of_cube, &[(linear, defect), (of_square, square)], next, work);
        (0..p).for_each(|i| next[i * (p + 1)] += (a * a / c2) as f32);
        if steps == 0 {
            before.iter_mut().zip(&*defect).for_each(|(to, v)| *to = b as f32 * v);
            (0..p).for_each(|i| before[i * (p + 1)] += a as f32);
        } else {
            form.symmetric(&[form.pair(before, defect)], b as f32, &[(a as f32, before)], other, work);
            std::mem::swap(&mut before, &mut other);
        }
        std::mem::swap(&mut defect, &mut next);
        (steps, growth) = (steps + 1, growth * factor / high.sqrt());
        (low, high) = ((factor * (least - least * least * least / width)).powi(2), 1.0);
    };

    let mut series = Series::of(bound, 2);
    for power in 3..=POWERS {
        if series.is_some() {
            break;
        }
        let (a, to) = if power == 3 { (&*defect, &mut *cube) } else { (&*square, &mut *fourth) };
        form.symmetric(&[form.pair(a, square)], 1.0, &[], to, work);
        bound = bound.min(norm_by(to, power));
        series = Series::of(bound, power);
    }
    let Some(series) = series else { return false };
    let [least, most] = [1.0 - bound, 1.0 + bound].map(|square| (square / c2).sqrt());
    if !is_polar_after(iterations, least / growth, if steps == 0 { most } else { largest }) {
        return false;
    }

    let powers = [&*defect, &*square, &*cube, &*fourth];
    let highest = powers[series.powers - 1];
    let block = |block: usize, sum: &mut [f32]| {
        for (k, power) in powers.iter().enumerate().take(series.powers - 1) {
            let factor = series.factor(block * series.powers + k + 1);
            sum.iter_mut().zip(*power).for_each(|(sum, v)| *sum += factor * v);
        }
        (0..p).for_each(|i| sum[i * (p + 1)] += series.factor(block * series.powers));
    };
    let leading = series.factor(series.degree());
    sum.iter_mut().zip(highest).for_each(|(sum, v)| *sum = leading * v);
    block(series.blocks - 1, sum);
    for k in (0..series.blocks - 1).rev() {
        form.symmetric(&[form.pair(highest, sum)], 1.0, &[], next, work);
        std::mem::swap(&mut sum, &mut next);
        block(k, sum);
    }
    let root = &mut kept[1..=small];
    let c = c2.sqrt() as f32;
    if steps == 0 {
        root.iter_mut().zip(&*sum).for_each(|(to, v)| *to = c * v);
        form.apply(x, root, out, false);
    } else {
        form.symmetric(&[form.pair(before, sum)], c, &[], root, work);
        form.apply(x, root, rough, false);
        // Rounding of Gram matrices has grown with small singular values: one iteration on the weight itself.
        form.gram(rough, -0.5, next, work);
        (0..p).for_each(|i| next[i * (p + 1)] += 1.5);
        form.apply(rough, next, out, false);
    }
    kept[0] = 1.0;
    true
}

/// Makes E = I - c² G of G, with the c² for which the squares of E's eigenvalues are least; nothing where there is none.
fn centre(g: &mut [f32], p: usize) -> Option<f64> {
    let trace: f64 = (0..p).map(|i| f64::from(g[i * (p + 1)])).sum();
    let factor = (trace / dot(g, g)) as f32;
    if !factor.is_normal() {
        return None;
    }
    scale(g, -factor);
    (0..p).for_each(|i| g[i * (p + 1)] += 1.0);
    Some(f64::from(factor))
}

/// A bound of the norm of a symmetric matrix by its power.
fn norm_by(matrix: &[f32], power: usize) -> f64 {
    dot(matrix, matrix).powf(0.5 / power as f64) + SLACK
}

/// Whether so many iterations with beta = 1/2 take all singular values from `low` to `high` to 1, and their derivatives there to 0,
/// up to rounding.
///
/// An iteration g(s) = 3/2 s - 1/2 s³ takes [0, 1] into itself, increasing and concave, and so do several: they are furthest
/// from 1, and steepest, at the low end. A value above 1 is below it, and above g(high), after the first.
pub(super) fn is_polar_after(iterations: usize, low: f64, high: f64) -> bool {
    let next = |s: f64| 1.5 * s - 0.5 * s * s * s;
    let slope = |s: f64| (1.5 - 1.5 * s * s).abs();
    let above = high.max(1.0);
    let (mut s, mut steepest) = (low.min(next(above)), slope(above).max(slope(0.0)));
    if low.is_nan() || s <= 0.0 {
        return false;
    }
    for _ in 1..iterations {
        (s, steepest) = (next(s), steepest * slope(s));
    }
    iterations > 0 && 1.0 - s <= UNCONVERGED && steepest <= UNCONVERGED
}

/// (1 - e)^(-1/2) for |e| <= bound as a polynomial of e: blocks of powers below one that the blocks are multiplied by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    factors: [f64; POWERS * POWERS + 1],
    powers: usize,
    blocks: usize,
}

impl Series {
    /// Of the least degree that is exact to rounding; nothing where that takes more powers of e than there are yet.
    pub fn of(bound: f64, powers: usize) -> Option<Series> {
        if bound.is_nan() || bound > WIDEST {
            return None;
        }
        let coefficients = chebyshev(bound);
        let left_out = |degree: usize| coefficients.iter().skip(degree + 1).map(|c| c.abs()).sum::<f64>();
        let (known, blocks) = SCHEMES.into_iter().find(|(known, blocks)| left_out(known * blocks) <= TRUNCATED)?;
        let factors = monomials(&coefficients, known * blocks, bound);
        (known <= powers).then_some(Series { factors, powers: known, blocks })
    }

    pub fn degree(&self) -> usize {
        self.powers * self.blocks
    }

    pub fn factor(&self, power: usize) -> f32 {
        self.factors[power] as f32
    }
}

/// Coefficients of the interpolation of (1 - bound t)^(-1/2) at Chebyshev's nodes.
fn chebyshev(bound: f64) -> [f64; NODES] {
    let angle = |j: usize| (j as f64 + 0.5) * std::f64::consts::PI / NODES as f64;
    let values: [f64; NODES] = std::array::from_fn(|j| (1.0 - bound * angle(j).cos()).sqrt().recip());
    std::array::from_fn(|k| {
        let sum: f64 = values.iter().enumerate().map(|(j, v)| v * (k as f64 * angle(j)).cos()).sum();
        sum * if k == 0 { 1.0 } else { 2.0 } / NODES as f64
    })
}

/// The first `degree` Chebyshev polynomials of e / bound as one of powers of e.
fn monomials(coefficients: &[f64; NODES], degree: usize, bound: f64) -> [f64; POWERS * POWERS + 1] {
    const LENGTH: usize = POWERS * POWERS + 1;
    let (mut before, mut now) = ([0.0; LENGTH], [0.0; LENGTH]);
    (before[0], now[1]) = (1.0, 1.0);
    let mut sum = [0.0; LENGTH];
    for (k, coefficient) in coefficients.iter().take(degree + 1).enumerate() {
        sum.iter_mut().zip(before).for_each(|(sum, v)| *sum += coefficient * v);
        let twice = |i: usize| if i == 0 { 0.0 } else { 2.0 * now[i - 1] };
        let next = if k + 1 < LENGTH { std::array::from_fn(|i| twice(i) - before[i]) } else { now };
        (before, now) = (now, next);
    }
    let mut power = 1.0;
    for factor in &mut sum {
        *factor /= power;
        power *= bound;
    }
    sum
}

/// The gradient of [`value`] with respect to `x` into `dx`, given its result `z`, P and the direction `d`.
pub(super) fn gradient(
    form: &Form,
    x: &[f32],
    z: &[f32],
    root: &[f32],
    d: &[f32],
    dx: &mut [f32],
    scratch: &mut [f32],
) {
    let (matrices, work) = scratch.split_at_mut(OF_GRADIENT * form.small());
    let mut matrices = matrices.chunks_exact_mut(form.small());
    let mut matrix = || matrices.next().unwrap_or_default();
    let (inner, h, y, rest, direction, image) = (matrix(), matrix(), matrix(), matrix(), matrix(), matrix());
    form.symmetric_inner(x, z, h, work);
    form.inner(d, z, inner, work);
    form.antisymmetrize(inner, 1.0, &[], rest);
    solve(form, h, y, rest, direction, image, work);
    if form.q == form.p {
        // Z is orthogonal: D - Z Kᵀ, of which P would take part, is nothing.
        return form.apply_transposed(z, y, dx, false);
    }
    form.product(root, inner, image);
    y.iter_mut().zip(&*image).for_each(|(y, v)| *y -= v);
    form.apply(d, root, dx, false);
    form.apply_transposed(z, y, dx, true);
}

/// Y with H Y + Y H = C for an antisymmetric C, which `rest` holds and loses, by conjugate gradients.
fn solve(
    form: &Form,
    h: &[f32],
    y: &mut [f32],
    rest: &mut [f32],
    direction: &mut [f32],
    image: &mut [f32],
    work: &mut [f32],
) {
    let product = &mut work[..form.small()];
    y.fill(0.0);
    direction.copy_from_slice(rest);
    let mut left = each_part([&mut *rest], |_, [rest]| dot(rest, rest));
    let enough = UNSOLVED * UNSOLVED * left;
    for _ in 0..MOST_PRODUCTS {
        // Where it is not a number neither is the result.
        if left <= enough {
            break;
        }
        form.product(h, direction, product);
        form.antisymmetrize(product, 1.0, &[], image);
        let along = each_part([&mut *image], |at, [image]| dot(&direction[at], image));
        let step = (left / along) as f32;
        let now = each_part([&mut *y, &mut *rest], |at, [y, rest]| {
            y.iter_mut().zip(&direction[at.clone()]).for_each(|(y, d)| *y += step * d);
            rest.iter_mut().zip(&image[at]).for_each(|(r, i)| *r -= step * i);
            dot(rest, rest)
        });
        let turn = (now / left) as f32;
        each_part([&mut *direction], |at, [direction]| {
            direction.iter_mut().zip(&rest[at]).for_each(|(d, r)| *d = r + turn * *d);
            0.0
        });
        left = now;
    }
}
