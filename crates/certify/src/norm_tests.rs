//! The spectral norm bound against singular values in double-double arithmetic (106 bits).
use super::*;
use crate::error::Code;
use crate::test_support::{Dd, largest_singular_value};

/// How far above the norm the bound may be on the matrices below: what the documentation says, with room.
const TIGHT: f64 = 2e-10;

/// A linear congruential generator (Numerical Recipes), uniform in [-1, 1).
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn matrix(&mut self, entries: usize) -> Vec<f32> {
        (0..entries).map(|_| self.next()).collect()
    }
}

fn check(name: &str, w: &[f32], rows: usize, cols: usize) {
    let exact = largest_singular_value(w, rows, cols);
    let bound = spectral_norm_upper(w, rows, cols).unwrap();
    let excess = Dd::from(bound).minus(exact);
    assert!(!excess.is_negative(), "{name} {rows}x{cols}: {bound:e} is below the norm by {:e}", excess.value());
    assert!(
        excess.value() <= TIGHT * exact.value(),
        "{name} {rows}x{cols}: {:e} too high",
        excess.value() / exact.value()
    );
}

const SHAPES: [(usize, usize); 8] = [(1, 1), (1, 9), (9, 1), (5, 5), (8, 20), (20, 8), (16, 9), (10, 33)];

#[test]
fn the_bound_is_above_the_norm_of_random_matrices_and_near_it() {
    let mut random = Random(3);
    for (rows, cols) in SHAPES {
        for _ in 0..8 {
            check("random", &random.matrix(rows * cols), rows, cols);
        }
    }
}

#[test]
fn clustered_and_tied_singular_values_are_bounded_as_tightly() {
    for (rows, cols) in SHAPES {
        let p = rows.min(cols);
        for step in [0.0f32, 1e-7, 1e-6, 1e-4] {
            // A Householder reflection I - 2 v vᵀ / vᵀv mixes the axes: singular values 1, 1 - step, 1 - 2 step …
            let mut w = vec![0.0f32; rows * cols];
            let norm: f64 = (1..=cols).map(|v| (v * v) as f64).sum();
            for i in 0..p {
                for j in 0..cols {
                    let mirror = f64::from(i == j) - 2.0 * ((i + 1) * (j + 1)) as f64 / norm;
                    w[i * cols + j] = (mirror * (1.0 - f64::from(step) * i as f64)) as f32;
                }
            }
            check("clustered", &w, rows, cols);
        }
    }
}

#[test]
fn rank_one_matrices_and_matrices_of_ones_are_bounded() {
    let mut random = Random(5);
    for (rows, cols) in SHAPES {
        check("ones", &vec![1.0; rows * cols], rows, cols);
        // Powers of two times a row: the product is exact, so the rank is one.
        let row = random.matrix(cols);
        let w: Vec<f32> = (0..rows).flat_map(|i| row.iter().map(move |x| x * 0.5f32.powi(i as i32 % 5))).collect();
        check("rank one", &w, rows, cols);
    }
}

#[test]
fn every_scale_of_float32_is_bounded_alike() {
    let w = Random(9).matrix(48);
    for scale in [1e-38f32, 1e-30, 1e-20, 1e20, 1e30, 3.4e38] {
        let scaled: Vec<f32> = w.iter().map(|x| x * scale).collect();
        check("scaled", &scaled, 6, 8);
    }
    check("subnormal", &w.iter().map(|x| x * 1e-43).collect::<Vec<_>>(), 6, 8);
    check("smallest", &[f32::from_bits(1), 0.0, 0.0, f32::from_bits(1)], 2, 2);
    check("largest", &[f32::MAX; 12], 3, 4);
}

#[test]
fn one_large_entry_among_small_ones_is_bounded() {
    let mut w = Random(11).matrix(60).iter().map(|x| x * 1e-30).collect::<Vec<_>>();
    w[17] = 1e30;
    check("graded", &w, 6, 10);
}

#[test]
fn a_dominant_direction_orthogonal_to_the_start_is_found() {
    // The longest row is orthogonal to the dominant singular vector of the other block.
    let mut w = vec![0.0f32; 5 * 8];
    w[0] = 1.5;
    for i in 1..5 {
        w[i * 8 + 3] = 1.0;
    }
    check("blocks", &w, 5, 8);
}

#[test]
fn a_layer_of_the_usual_size_is_bounded_tightly() {
    let mut random = Random(13);
    let w: Vec<f32> = (0..64 * 1568).map(|_| random.next() * 0.05).collect();
    let bound = spectral_norm_upper(&w, 64, 1568).unwrap();
    // Too large for double-double Jacobi here: power iteration from below in float64 meets the bound from above.
    let (mut x, mut lower) = (vec![1.0; 64], 0.0);
    for _ in 0..3000 {
        let mut y = vec![0.0; 1568];
        for (row, f) in w.chunks_exact(1568).zip(&x) {
            y.iter_mut().zip(row).for_each(|(y, w)| *y += f * f64::from(*w));
        }
        let z: Vec<f64> =
            w.chunks_exact(1568).map(|row| row.iter().zip(&y).map(|(w, y)| f64::from(*w) * y).sum()).collect();
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        lower = norm(&y) / norm(&x);
        let length = norm(&z);
        x = z.iter().map(|v| v / length).collect();
    }
    assert!(bound >= lower * (1.0 - 1e-13) && bound <= lower * (1.0 + TIGHT), "{bound} {lower}");
}

#[test]
fn zero_and_empty_matrices_have_norm_zero() {
    assert_eq!(spectral_norm_upper(&[0.0; 12], 3, 4), Ok(0.0));
    assert_eq!(spectral_norm_upper(&[-0.0], 1, 1), Ok(0.0));
    assert_eq!(spectral_norm_upper(&[], 0, 4), Ok(0.0));
}

#[test]
fn what_is_not_finite_or_does_not_fit_is_refused() {
    let mut w = [1.0f32; 6];
    w[4] = f32::NAN;
    let error = spectral_norm_upper(&w, 2, 3).unwrap_err();
    assert_eq!(error.code, Code::NonFinite);
    assert!(error.message.contains("row 1, column 1"), "{error}");
    assert_eq!(spectral_norm_upper(&[f32::NEG_INFINITY], 1, 1).unwrap_err().code, Code::NonFinite);
    assert_eq!(spectral_norm_upper(&[1.0; 6], 2, 4).unwrap_err().code, Code::ShapeMismatch);
    assert_eq!(spectral_norm_upper(&[1.0; 6], usize::MAX, 2).unwrap_err().code, Code::ShapeMismatch);
}
