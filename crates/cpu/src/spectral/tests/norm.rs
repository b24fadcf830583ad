//! The spectral norm: never below, close above, smooth, at every scale; its gradient u vᵀ.
use super::{Matrix, Random, at_every_level, scratch, spectrum};
use crate::simd::Level;
use crate::spectral::{spectral_norm, spectral_norm_grad, spectral_norm_grad_scratch, spectral_norm_scratch};

/// Rounding of a Gram matrix of float32 and of the weight itself: a few units of 6e-8.
const ROUNDING: f64 = 4e-7;
/// The excess of the Schatten norm where singular values tie or nearly tie.
const TIES: f64 = 2e-6;

const SHAPES: [(usize, usize); 8] = [(1, 1), (1, 7), (9, 1), (16, 9), (9, 16), (24, 24), (32, 144), (150, 12)];

fn sigma(level: Level, w: &[f32], m: usize, n: usize) -> f32 {
    spectral_norm(level, w, m, n, &mut scratch(spectral_norm_scratch(m, n)))
}

fn gradient(level: Level, w: &[f32], m: usize, n: usize) -> Vec<f32> {
    let mut dw = scratch(m * n);
    spectral_norm_grad(level, w, m, n, &mut dw, &mut scratch(spectral_norm_grad_scratch(m, n)));
    dw
}

#[test]
fn it_is_the_largest_singular_value_to_rounding() {
    at_every_level(|level| {
        for (m, n) in SHAPES {
            for condition in [2.0, 50.0, 1e6] {
                let (w, ..) = Random(1).with_singular_values(m, n, &spectrum(m.min(n), condition));
                let error = f64::from(sigma(level, &w.f32(), m, n)) - 1.0;
                assert!(
                    (-ROUNDING..ROUNDING + TIES).contains(&error),
                    "{level:?} {m}x{n} condition {condition}: {error:e}"
                );
            }
        }
    });
}

#[test]
fn tied_and_nearly_tied_values_are_bounded_from_above() {
    at_every_level(|level| {
        for (m, n) in SHAPES {
            for gap in [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3] {
                let s: Vec<f64> = (0..m.min(n)).map(|i| 1.0 - gap * i as f64).collect();
                let (w, ..) = Random(2).with_singular_values(m, n, &s);
                let error = f64::from(sigma(level, &w.f32(), m, n)) - 1.0;
                assert!((-ROUNDING..ROUNDING + TIES).contains(&error), "{level:?} {m}x{n} gap {gap}: {error:e}");
            }
        }
    });
}

#[test]
fn every_scale_of_float32_is_as_exact() {
    let (w, ..) = Random(3).with_singular_values(8, 20, &spectrum(8, 3.0));
    for scale in [1e-37, 1e-30, 1e-20, 1e-6, 1e6, 1e20, 1e30, 1e38] {
        let scaled = w.mix(scale, 0.0, &w).f32();
        let got = f64::from(sigma(Level::current(), &scaled, 8, 20)) / scale;
        assert!((got - 1.0).abs() <= ROUNDING, "scale {scale:e}: {got}");
        let grad = Matrix::of(&gradient(Level::current(), &scaled, 8, 20), 8, 20);
        let plain = Matrix::of(&gradient(Level::current(), &w.f32(), 8, 20), 8, 20);
        assert!(grad.distance(&plain) <= 10.0 * ROUNDING, "scale {scale:e}");
    }
    // A subnormal by itself is one unit: exact.
    let smallest = f32::from_bits(1);
    assert_eq!(sigma(Level::Portable, &[smallest, 0.0], 1, 2), smallest);
}

#[test]
fn the_gradient_is_the_outer_product_of_the_dominant_singular_vectors() {
    at_every_level(|level| {
        for (m, n) in SHAPES {
            for condition in [2.0, 1e6] {
                let p = m.min(n);
                let s = spectrum(p, condition);
                let (w, u, v) = Random(4).with_singular_values(m, n, &s);
                let want = Matrix::new(m, n, |i, j| u.at(i, 0) * v.at(j, 0));
                // A perturbation e of the weight turns singular vectors by about e / gap.
                let gap = if p == 1 { 1.0 } else { 1.0 - s[1] };
                let error = Matrix::of(&gradient(level, &w.f32(), m, n), m, n).distance(&want);
                assert!(error <= 2.0 * ROUNDING / gap, "{level:?} {m}x{n} condition {condition}: {error:e}");
            }
        }
    });
}

#[test]
fn where_values_tie_the_gradient_is_the_mean_over_them() {
    for (m, n) in [(6, 6), (4, 20)] {
        let p = m.min(n);
        // A permutation of the axes: all singular values are exactly 1.
        let w = Matrix::new(m, n, |i, j| f64::from((i + 2) % n == j));
        let grad = Matrix::of(&gradient(Level::current(), &w.f32(), m, n), m, n);
        assert!(grad.distance(&w.mix(1.0 / p as f64, 0.0, &w)) <= TIES);
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_value() {
    let (m, n) = (5, 9);
    let (w, ..) = Random(5).with_singular_values(m, n, &[3.0, 2.0, 1.0, 0.5, 0.0]);
    let direction = Random(6).matrix(m, n);
    let value = |t: f64| f64::from(sigma(Level::current(), &w.mix(1.0, t, &direction).f32(), m, n));
    // Float32 rounds a value of 3 by 2e-7, so that a step of 1e-2 gives the slope to about 1e-4.
    let slope = (value(1e-2) - value(-1e-2)) / 2e-2;
    let grad = gradient(Level::current(), &w.f32(), m, n);
    let predicted: f64 = grad.iter().zip(&direction.data).map(|(g, d)| f64::from(*g) * d).sum();
    assert!((slope - predicted).abs() <= 1e-3 * direction.norm(), "{slope} {predicted}");
}

#[test]
fn a_zero_weight_has_norm_zero_and_gradient_zero() {
    assert_eq!(sigma(Level::current(), &[0.0; 12], 3, 4), 0.0);
    assert_eq!(gradient(Level::current(), &[0.0; 12], 3, 4), [0.0; 12]);
    assert_eq!(sigma(Level::current(), &[], 0, 4), 0.0);
}

#[test]
fn nan_and_infinite_entries_give_nan() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut w = [1.0; 12];
        w[7] = bad;
        assert!(sigma(Level::current(), &w, 3, 4).is_nan());
        assert!(gradient(Level::current(), &w, 3, 4).iter().all(|g| g.is_nan()));
    }
}

#[test]
fn a_matrix_and_its_transpose_have_the_same_norm() {
    let w = Random(7).matrix(13, 40);
    assert_eq!(sigma(Level::current(), &w.f32(), 13, 40), sigma(Level::current(), &w.t().f32(), 40, 13));
}

/// From this size on a dominant eigenvalue is looked for by itself.
const LARGE: [(usize, usize); 3] = [(130, 130), (128, 200), (260, 150)];

#[test]
fn of_a_large_weight_the_norm_is_as_exact_alone_near_others_and_tied() {
    at_every_level(|level| {
        for (m, n) in LARGE {
            let p = m.min(n);
            let evenly = |gap: f64| -> Vec<f64> { (0..p).map(|i| 1.0 - gap * i as f64).collect() };
            let mut cluster = vec![1.0; p];
            cluster[3..].iter_mut().enumerate().for_each(|(i, s)| *s = 0.9 - 0.005 * i as f64);
            let mut low_rank = vec![0.0; p];
            low_rank[..10].copy_from_slice(&spectrum(10, 3.0));
            let spectra = [
                spectrum(p, 50.0),
                evenly(0.0),
                evenly(1e-7),
                evenly(1e-6),
                evenly(1e-5),
                evenly(1e-4),
                cluster,
                low_rank,
            ];
            for (i, s) in spectra.iter().enumerate() {
                let (w, ..) = Random(21).with_singular_values(m, n, s);
                let error = f64::from(sigma(level, &w.f32(), m, n)) - 1.0;
                assert!((-ROUNDING..ROUNDING + TIES).contains(&error), "{level:?} {m}x{n} spectrum {i}: {error:e}");
            }
        }
    });
}

#[test]
fn of_a_large_weight_the_gradient_is_the_outer_product_of_the_dominant_vectors_or_the_mean_of_those_that_tie() {
    for (m, n) in LARGE {
        let p = m.min(n);
        for gap in [1e-1, 1e-2, 1e-3, 1e-4] {
            let s: Vec<f64> =
                (0..p).map(|i| if i == 0 { 1.0 } else { (1.0 - gap) * 0.995f64.powi(i as i32 - 1) }).collect();
            let (w, u, v) = Random(22).with_singular_values(m, n, &s);
            let want = Matrix::new(m, n, |i, j| u.at(i, 0) * v.at(j, 0));
            let error = Matrix::of(&gradient(Level::current(), &w.f32(), m, n), m, n).distance(&want);
            assert!(error <= 2.0 * ROUNDING / gap, "{m}x{n} gap {gap}: {error:e}");
        }
        let mut tied = spectrum(p, 50.0);
        tied[..3].fill(1.0);
        let (w, u, v) = Random(23).with_singular_values(m, n, &tied);
        let want = Matrix::new(m, n, |i, j| (0..3).map(|k| u.at(i, k) * v.at(j, k) / 3.0).sum());
        let error = Matrix::of(&gradient(Level::current(), &w.f32(), m, n), m, n).distance(&want);
        assert!(error <= 1e-4, "{m}x{n}, three tie: {error:e}");
    }
}
