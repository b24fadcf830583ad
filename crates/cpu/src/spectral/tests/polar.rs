//! The polar factor that stands for iterations: where it is taken, and that it is what they come to.
use super::bjorck::{ROUNDING, SHAPES, UNIT, case, direct, direct_grad, gradient, largest, tolerance, value};
use super::{Matrix, Random, at_every_level, scratch, spectrum};
use crate::simd::Level;
use crate::spectral::matrix::Form;
use crate::spectral::polar::{self, Series, is_polar_after};
use crate::spectral::{bjorck_kept, bjorck_kept_length, bjorck_kept_scratch};

/// Whether a weight's value is computed as the polar factor.
fn is_taken(w: &[f32], (m, n): (usize, usize), iterations: usize, beta: f32) -> bool {
    let (mut kept, mut out) = (scratch(bjorck_kept_length(m, n)), scratch(m * n));
    let mut memory = scratch(bjorck_kept_scratch(m, n));
    bjorck_kept(Level::current(), w, m, n, iterations, beta, &mut out, &mut kept, &mut memory);
    polar::root(&Form::new(Level::current(), m, n), &kept).is_some()
}

/// Singular values as they are found in training: nearly equal, spread, a few that stand out, or most of them at the other end.
fn spectra(p: usize) -> Vec<(&'static str, Vec<f64>)> {
    let of = |value: &dyn Fn(f64) -> f64| (0..p).map(|i| value(i as f64 / p as f64)).collect();
    vec![
        ("equal", of(&|_| 0.9)),
        ("nearly equal", of(&|t| 1.0 - 1e-3 * t)),
        ("spread", of(&|t| 1.0 - 0.25 * t)),
        ("condition 2", spectrum(p, 2.0)),
        ("condition 5", spectrum(p, 5.0)),
        ("condition 8", spectrum(p, 8.0)),
        ("a few stand out", of(&|t| if t < 0.05 { 1.0 - 8.0 * t } else { 0.43 - 0.1 * t })),
        ("a few are small", of(&|t| if t > 0.95 { 0.3 } else { 1.0 - 0.1 * t })),
        ("small ones", of(&|t| 0.2 - 0.05 * t)),
        ("above one", of(&|t| 1.2 - 0.5 * t)),
    ]
}

#[test]
fn weights_as_they_are_in_training_are_orthonormalized_without_iterations_to_the_same_value_and_gradient() {
    let shapes = SHAPES.into_iter().chain([(160, 160), (130, 200), (200, 140)]);
    for shape in shapes {
        for (name, s) in spectra(shape.0.min(shape.1)) {
            let (w, d) = case(21, shape, &s);
            assert!(is_taken(&w.f32(), shape, 15, 0.5), "{shape:?} {name}: iterates");
            let path = direct(&w, 15, 0.5);
            let wanted = direct_grad(&path, &d, 0.5);
            at_every_level(|level| {
                let got = Matrix::of(&value(level, &w.f32(), shape.0, shape.1, 15, 0.5), shape.0, shape.1);
                let grad = Matrix::of(&gradient(level, &w.f32(), &d.f32(), shape, 15, 0.5), shape.0, shape.1);
                let errors = [got.distance(&path[15]), grad.distance(&wanted), largest(&got) - 1.0];
                let allowed = ROUNDING + 8.0 * UNIT;
                assert!(errors.iter().all(|e| *e <= allowed), "{level:?} {shape:?} {name}: off by {errors:?}");
            });
        }
    }
}

#[test]
fn where_iterations_have_not_converged_or_take_no_longer_they_are_carried_out() {
    for shape in [(12, 40), (40, 12), (24, 24), (130, 130)] {
        let p = shape.0.min(shape.1);
        let weight = |s: &[f64]| Random(22).with_singular_values(shape.0, shape.1, s).0.f32();
        let near = weight(&spectrum(p, 2.0));
        assert!(is_taken(&near, shape, 15, 0.5));
        let mut deficient = spectrum(p, 2.0);
        deficient[p - 1] = 0.0;
        let scaled = |factor: f32| near.iter().map(|v| factor * v).collect::<Vec<f32>>();
        let with = |v: f32| [&[v], &near[1..]].concat();
        for (name, w, iterations, beta) in [
            ("few iterations", near.clone(), 4, 0.5),
            ("no iterations", near.clone(), 0, 0.5),
            ("another step size", near.clone(), 15, 0.4),
            ("condition 50", weight(&spectrum(p, 50.0)), 15, 0.5),
            ("condition 1e7", weight(&spectrum(p, 1e7)), 15, 0.5),
            ("rank deficient", weight(&deficient), 15, 0.5),
            ("zero", scaled(0.0), 15, 0.5),
            ("too large to converge", scaled(2.0), 15, 0.5),
            ("too small for fifteen", scaled(1e-3), 15, 0.5),
            ("beyond squares", scaled(1e30), 15, 0.5),
            ("below squares", scaled(1e-30), 15, 0.5),
            ("NaN", with(f32::NAN), 15, 0.5),
            ("infinite", with(f32::INFINITY), 15, 0.5),
        ] {
            assert!(!is_taken(&w, shape, iterations, beta), "{shape:?} {name}");
        }
    }
}

#[test]
fn what_is_said_of_iterations_holds_for_every_singular_value_between() {
    let iterate = |mut s: f64, iterations: usize| {
        let mut slope = 1.0;
        for _ in 0..iterations {
            (s, slope) = (1.5 * s - 0.5 * s * s * s, slope * (1.5 - 1.5 * s * s));
        }
        (s, slope)
    };
    let mut held = 0;
    for iterations in 0..20 {
        for low in (0..60).map(|i| 1.5 * 0.85f64.powi(i)) {
            for high in (0..10).map(|i| low + (1.8 - low) * f64::from(i) / 9.0) {
                if !is_polar_after(iterations, low, high) {
                    continue;
                }
                held += 1;
                for i in 0..=200 {
                    let (s, slope) = iterate(low + (high - low) * f64::from(i) / 200.0, iterations);
                    assert!((s - 1.0).abs() <= 6e-8 && slope.abs() <= 6e-8, "{iterations} from {low} to {high}");
                }
            }
        }
    }
    assert!(held > 1000, "{held}");
    // Where fifteen are known to be enough, and where they are not.
    assert!(is_polar_after(15, 0.05, 1.0) && is_polar_after(15, 0.3, 1.5));
    assert!(!is_polar_after(15, 1e-3, 1.0) && !is_polar_after(15, 0.5, 1.74) && !is_polar_after(15, f64::NAN, 1.0));
}

fn at(series: &Series, e: f64) -> f64 {
    (0..=series.degree()).rev().fold(0.0, |sum, k| sum * e + f64::from(series.factor(k)))
}

#[test]
fn the_polynomial_is_the_inverse_root_up_to_rounding_of_the_least_degree_that_is() {
    let mut before = 0;
    for bound in [1e-5, 1e-3, 5e-3, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6] {
        let series = Series::of(bound, 4).expect("within the widest");
        for i in 0..=100 {
            let e = bound * (f64::from(i) / 50.0 - 1.0);
            let error = at(&series, e) - (1.0 - e).sqrt().recip();
            // Its factors are float32 numbers.
            assert!(error.abs() <= 1.5e-7, "{bound} at {e}: {error:e}");
        }
        assert!(series.degree() >= before, "{bound}");
        before = series.degree();
    }
    assert!(Series::of(0.61, 4).is_none() && Series::of(f64::NAN, 4).is_none());
    assert!(Series::of(0.3, 2).is_none(), "of degree 9 with two powers alone");
}

/// Reflections in a row, which take a diagonal matrix to one without zeros: U diag(s) Vᵀ whose U and V are known, of any size.
struct Reflections(Vec<Vec<f64>>);

impl Reflections {
    fn new(random: &mut Random, n: usize) -> Self {
        let unit = |mut v: Vec<f64>| {
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.iter_mut().for_each(|x| *x /= norm);
            v
        };
        Reflections((0..3).map(|_| unit((0..n).map(|_| random.next()).collect())).collect())
    }

    /// Applies them to each row, in this order or in the other, which undoes it.
    fn rows(&self, matrix: &mut Matrix, back: bool) {
        let one = |v: &[f64], matrix: &mut Matrix| {
            for row in matrix.data.chunks_exact_mut(v.len()) {
                let along = 2.0 * row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
                row.iter_mut().zip(v).for_each(|(a, b)| *a -= along * b);
            }
        };
        match back {
            false => self.0.iter().for_each(|v| one(v, matrix)),
            true => self.0.iter().rev().for_each(|v| one(v, matrix)),
        }
    }
}

/// U M Vᵀ, or Uᵀ M V.
fn turned(m: &Matrix, [left, right]: [&Reflections; 2], back: bool) -> Matrix {
    let mut m = m.clone();
    right.rows(&mut m, back);
    let mut t = m.t();
    left.rows(&mut t, back);
    t.t()
}

/// What fifteen iterations make of a singular value, and the slope.
fn fifteen(s: f64) -> (f64, f64) {
    (0..15).fold((s, 1.0), |(s, slope), _| (1.5 * s - 0.5 * s * s * s, slope * (1.5 - 1.5 * s * s)))
}

#[test]
fn weights_of_wide_layers_come_to_the_value_and_gradient_that_their_singular_vectors_tell() {
    for (m, n) in [(512, 784), (512, 512), (1024, 1568), (1568, 64), (64, 1568)] {
        let p = m.min(n);
        let mut cases = spectra(p);
        cases.retain(|(name, _)| ["equal", "spread", "condition 5", "a few stand out"].contains(name));
        let mut deficient = spectrum(p, 20.0);
        deficient[p - p / 4..].fill(0.0);
        cases.extend([
            ("condition 1e3", spectrum(p, 1e3)),
            ("condition 1e7", spectrum(p, 1e7)),
            ("rank deficient", deficient),
        ]);
        for (name, s) in cases {
            let mut random = Random(23);
            let turns = [Reflections::new(&mut random, m), Reflections::new(&mut random, n)];
            let turns = [&turns[0], &turns[1]];
            let diagonal = |f: &dyn Fn(f64) -> f64| Matrix::new(m, n, |i, j| if i == j { f(s[i]) } else { 0.0 });
            let w = turned(&diagonal(&|s| s), turns, false).f32();
            let d = Matrix::of(&random.matrix(m, n).f32(), m, n);
            let inner = turned(&d, turns, true);
            let f: Vec<(f64, f64)> = s.iter().map(|&s| fifteen(s)).collect();
            let of_inner = |i: usize, j: usize| {
                if i.max(j) >= p {
                    let (s, (f, slope)) = (s[i.min(j)], f[i.min(j)]);
                    return inner.at(i, j) * if s > 0.0 { f / s } else { slope };
                }
                let (same, sum) = ((inner.at(i, j) + inner.at(j, i)) / 2.0, s[i] + s[j]);
                let apart = (s[i] - s[j]).abs();
                let of_same = if apart > 1e-9 { (f[i].0 - f[j].0) / (s[i] - s[j]) } else { f[i].1 };
                let of_skew = if sum > 0.0 { (f[i].0 + f[j].0) / sum } else { f[i].1 };
                of_same * same + of_skew * (inner.at(i, j) - same)
            };
            let wanted = turned(&Matrix::new(m, n, of_inner), turns, false);
            let level = Level::current();
            let got = Matrix::of(&value(level, &w, m, n, 15, 0.5), m, n);
            let grad = Matrix::of(&gradient(level, &w, &d.f32(), (m, n), 15, 0.5), m, n);
            let errors = [got.distance(&turned(&diagonal(&|s| fifteen(s).0), turns, false)), grad.distance(&wanted)];
            let condition = s[0] / s.iter().copied().filter(|s| *s > 0.0).fold(1.0, f64::min);
            let allowed = 1.5 * tolerance(15, 0.5, if name == "rank deficient" { f64::INFINITY } else { condition });
            assert!(errors.iter().all(|e| *e <= allowed), "{m}x{n} {name}: off by {errors:?}, allowed {allowed:e}");
        }
    }
}
