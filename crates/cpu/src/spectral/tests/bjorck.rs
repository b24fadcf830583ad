//! Björck orthonormalization and its gradient against the direct iteration and its reverse mode in float64.
use super::{Matrix, Random, at_every_level, scratch, spectrum};
use crate::simd::Level;
use crate::spectral::{bjorck, bjorck_grad, bjorck_grad_scratch, bjorck_scratch};

pub(super) fn value(level: Level, w: &[f32], m: usize, n: usize, iterations: usize, beta: f32) -> Vec<f32> {
    let mut out = scratch(m * n);
    bjorck(level, w, m, n, iterations, beta, &mut out, &mut scratch(bjorck_scratch(m, n)));
    out
}

pub(super) fn gradient(
    level: Level,
    w: &[f32],
    d: &[f32],
    (m, n): (usize, usize),
    iterations: usize,
    beta: f32,
) -> Vec<f32> {
    let mut dw = scratch(m * n);
    let mut memory = scratch(bjorck_grad_scratch(m, n));
    bjorck_grad(level, w, m, n, iterations, beta, d, &mut dw, &mut memory);
    dw
}

/// The path of the direct iteration, from W to the result.
pub(super) fn direct(w: &Matrix, iterations: usize, beta: f64) -> Vec<Matrix> {
    let mut path = vec![w.clone()];
    for k in 0..iterations {
        let w = &path[k];
        let cubic = if w.rows < w.cols { w.dot(&w.t()).dot(w) } else { w.dot(&w.t().dot(w)) };
        path.push(w.mix(1.0 + beta, -beta, &cubic));
    }
    path
}

/// dW <- (1 + beta) dW - beta (dW Wᵀ W + W dWᵀ W + W Wᵀ dW), backwards along the path.
pub(super) fn direct_grad(path: &[Matrix], d: &Matrix, beta: f64) -> Matrix {
    path[..path.len() - 1].iter().rev().fold(d.clone(), |d, w| {
        let (wt, dt) = (w.t(), d.t());
        let parts = if w.rows < w.cols {
            let small = w.dot(&wt);
            d.dot(&wt).dot(w).mix(1.0, 1.0, &w.dot(&dt).dot(w)).mix(1.0, 1.0, &small.dot(&d))
        } else {
            let small = wt.dot(w);
            d.dot(&small).mix(1.0, 1.0, &w.dot(&dt.dot(w))).mix(1.0, 1.0, &w.dot(&wt.dot(&d)))
        };
        d.mix(1.0 + beta, -beta, &parts)
    })
}

/// What float32's rounding of the products costs by itself.
pub(super) const ROUNDING: f64 = 2e-6;
/// Half a unit of float32: what the weight itself is off by before the first iteration.
pub(super) const UNIT: f64 = 6e-8;
/// How far a singular value may be above 1 after the last iteration.
const ABOVE_ONE: f64 = 2e-6;

/// Small singular values grow by 1 + beta an iteration until they are at 1, and the weight's own rounding with them:
/// the direct iteration in float32 is off by as much.
pub(super) fn tolerance(iterations: usize, beta: f64, condition: f64) -> f64 {
    ROUNDING + UNIT * (1.0 + beta).powi(iterations as i32).min(condition)
}

/// The largest singular value: ‖G^(2^30)‖_F^(1/2^31) in float64.
pub(super) fn largest(w: &Matrix) -> f64 {
    let mut g = if w.rows < w.cols { w.dot(&w.t()) } else { w.t().dot(w) };
    let mut log = 0.0;
    for k in 0..=30 {
        let norm = g.norm();
        if norm == 0.0 {
            return 0.0;
        }
        log += norm.ln() / 2f64.powi(k);
        g = g.mix(1.0 / norm, 0.0, &g);
        g = g.dot(&g);
    }
    (log / 2.0).exp()
}

pub(super) const SHAPES: [(usize, usize); 9] =
    [(64, 200), (32, 144), (10, 64), (16, 9), (24, 24), (9, 16), (200, 12), (1, 9), (1, 1)];

/// A weight with these singular values and a cotangent, both rounded to float32.
pub(super) fn case(seed: u32, (m, n): (usize, usize), s: &[f64]) -> (Matrix, Matrix) {
    let mut random = Random(seed);
    let (w, ..) = random.with_singular_values(m, n, s);
    let d = random.matrix(m, n);
    (Matrix::of(&w.f32(), m, n), Matrix::of(&d.f32(), m, n))
}

fn check(level: Level, (w, d): &(Matrix, Matrix), iterations: usize, beta: f32, condition: f64, name: &str) {
    let (m, n) = (w.rows, w.cols);
    let path = direct(w, iterations, f64::from(beta));
    let got = Matrix::of(&value(level, &w.f32(), m, n, iterations, beta), m, n);
    let got_grad = Matrix::of(&gradient(level, &w.f32(), &d.f32(), (m, n), iterations, beta), m, n);
    let errors = (got.distance(&path[iterations]), got_grad.distance(&direct_grad(&path, d, f64::from(beta))));
    let allowed = tolerance(iterations, f64::from(beta), condition);
    let name = format!("{level:?} {m}x{n} {name}, {iterations} iterations, beta {beta}");
    assert!(
        errors.0 <= allowed && errors.1 <= allowed,
        "{name}: value and gradient off by {errors:?}, allowed {allowed:e}"
    );
    let sigma = largest(&got);
    assert!(sigma <= 1.0 + ABOVE_ONE, "{name}: a singular value is 1 + {:e}", sigma - 1.0);
}

#[test]
fn value_and_gradient_are_those_of_the_direct_iteration() {
    at_every_level(|level| {
        for shape in SHAPES {
            for condition in [2.0, 50.0, 1e3, 1e6] {
                let inputs = case(8, shape, &spectrum(shape.0.min(shape.1), condition));
                for iterations in [1, 2, 5, 6, 15, 25] {
                    check(level, &inputs, iterations, 0.5, condition, &format!("condition {condition}"));
                }
            }
        }
    });
}

#[test]
fn fifty_iterations_are_as_exact_as_few() {
    for shape in SHAPES {
        for condition in [2.0, 1e3, 1e6] {
            let inputs = case(9, shape, &spectrum(shape.0.min(shape.1), condition));
            check(Level::current(), &inputs, 50, 0.5, condition, &format!("condition {condition}"));
        }
    }
}

#[test]
fn rank_deficient_weights_neither_explode_nor_lose_their_gradient() {
    for shape in SHAPES {
        let p = shape.0.min(shape.1);
        let mut s = spectrum(p, 50.0);
        s[p.div_ceil(2)..].fill(0.0);
        let inputs = case(10, shape, &s);
        for iterations in [1, 5, 15, 25] {
            check(Level::current(), &inputs, iterations, 0.5, f64::INFINITY, "rank deficient");
        }
        // After fifty iterations rounding has grown by 1e8 in the null space, in the direct form as here.
        check(Level::current(), &inputs, 50, 0.5, f64::INFINITY, "rank deficient");
    }
}

#[test]
fn other_step_sizes_are_followed_to_the_last_iteration() {
    for shape in [(32, 144), (24, 24), (200, 12), (1, 9)] {
        let inputs = case(11, shape, &spectrum(shape.0.min(shape.1), 20.0));
        for beta in [0.25, 0.4] {
            for iterations in [1, 5, 15, 50] {
                check(Level::current(), &inputs, iterations, beta, 20.0, "condition 20");
            }
        }
    }
}

#[test]
fn values_below_root_three_come_down_to_one() {
    for shape in [(10, 64), (16, 9), (9, 9)] {
        let s: Vec<f64> = (0..shape.0.min(shape.1)).map(|i| 1.7 - 0.1 * i as f64).collect();
        let (w, _) = case(12, shape, &s);
        // 1.7 falls to .09 in the first step; ten more bring it back.
        let got = Matrix::of(&value(Level::current(), &w.f32(), shape.0, shape.1, 15, 0.5), shape.0, shape.1);
        let gram = if shape.0 < shape.1 { got.dot(&got.t()) } else { got.t().dot(&got) };
        let identity = Matrix::new(gram.rows, gram.cols, |i, j| f64::from(i == j));
        assert!(gram.distance(&identity) <= 10.0 * ROUNDING, "{shape:?}: {}", gram.distance(&identity));
    }
}

#[test]
fn an_orthonormal_weight_stays_and_its_gradient_is_projected_on_the_tangent_space() {
    for (m, n) in [(64, 200), (12, 12), (30, 4), (1, 5)] {
        let (w, d) = case(13, (m, n), &vec![1.0; m.min(n)]);
        let got = Matrix::of(&value(Level::current(), &w.f32(), m, n, 15, 0.5), m, n);
        assert!(got.distance(&w) <= ROUNDING);
        for iterations in [1, 2, 15] {
            check(Level::current(), &(w.clone(), d.clone()), iterations, 0.5, 1.0, "orthonormal");
        }
    }
}

#[test]
fn no_iterations_change_nothing() {
    let (w, d) = case(14, (3, 8), &[1.0, 0.5, 0.1]);
    assert_eq!(value(Level::current(), &w.f32(), 3, 8, 0, 0.5), w.f32());
    assert_eq!(gradient(Level::current(), &w.f32(), &d.f32(), (3, 8), 0, 0.5), d.f32());
}

#[test]
fn a_zero_weight_stays_zero_and_scales_its_gradient_by_each_iteration() {
    for (m, n) in [(4, 20), (6, 6)] {
        let d: Vec<f32> = (0..m * n).map(|i| i as f32 - 3.0).collect();
        assert_eq!(value(Level::current(), &vec![0.0; m * n], m, n, 15, 0.5), vec![0.0; m * n]);
        let grad = gradient(Level::current(), &vec![0.0; m * n], &d, (m, n), 15, 0.5);
        for (g, d) in grad.iter().zip(&d) {
            let want = 1.5f64.powi(15) * f64::from(*d);
            assert!((f64::from(*g) - want).abs() <= ROUNDING * want.abs(), "{g} {want}");
        }
    }
}

#[test]
fn nan_in_the_weight_is_not_hidden() {
    for (m, n) in [(4, 20), (6, 6)] {
        let mut w = vec![0.1; m * n];
        w[5] = f32::NAN;
        assert!(value(Level::current(), &w, m, n, 15, 0.5).iter().any(|v| v.is_nan()));
        assert!(gradient(Level::current(), &w, &w, (m, n), 15, 0.5).iter().any(|v| v.is_nan()));
    }
}

#[test]
fn a_matrix_without_entries_is_left_alone() {
    assert!(value(Level::current(), &[], 0, 5, 15, 0.5).is_empty());
    assert!(gradient(Level::current(), &[], &[], (5, 0), 15, 0.5).is_empty());
}

#[test]
fn large_weights_are_as_exact_in_blocks_that_workers_share() {
    for shape in [(200, 200), (180, 260), (320, 200)] {
        for (condition, name) in [(3.0, "condition 3"), (50.0, "condition 50"), (1e6, "condition 1e6")] {
            let inputs = case(15, shape, &spectrum(shape.0.min(shape.1), condition));
            check(Level::current(), &inputs, 15, 0.5, condition, name);
        }
    }
}

#[test]
fn weights_near_orthonormal_end_early_with_the_gradient_of_all_iterations() {
    for (m, n) in [(64, 200), (24, 24), (40, 50), (9, 16), (1, 5)] {
        for spread in [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.3] {
            let p = m.min(n);
            let s: Vec<f64> = (0..p).map(|i| 1.0 - spread * i as f64 / p as f64).collect();
            let inputs = case(16, (m, n), &s);
            for iterations in [2, 3, 4, 15] {
                check(Level::current(), &inputs, iterations, 0.5, 1.0, &format!("spread {spread}"));
            }
        }
    }
}
