//! How far the rows of a float32 matrix are apart, from above, proved in float64.
use crate::error::Result;
use crate::gram::{Gram, gram};
use crate::norm::{check, exact, scale_of};
use crate::rounding::{add_up, gamma, mul_up, sqrt_up};

/// Of a squared distance the share that its bound may be above it, before it is computed from the rows themselves.
const EXCESS: f64 = 1e-9;

/// At least the distances of the rows of `w` (`[rows, cols]`, row-major), and of the origin after the last of them, from one another:
/// `[rows + 1, rows + 1]`. Costs rows² cols operations, as the norm of the matrix does.
///
/// Proof. ‖a - b‖² = G_aa + G_bb - 2 G_ab with the Gram matrix G, of which Ĝ_ab is computed (see `gram`): it is off by at most gamma_n Σ |a_k|
/// |b_k| <= gamma_n (G_aa + G_bb) / 2, so that all three terms are off by no more than 2 gamma_n (G_aa + G_bb), and G_aa <= (1 + 2 gamma_n)
/// Ĝ_aa. Where that is more than a small part of the result, rows are near one another, and the sum of squared differences
/// takes its place: a difference rounds once, its square once, n of them n times.
///
/// Errors as of [`crate::spectral_norm_upper`].
pub fn row_distances_upper(w: &[f32], rows: usize, cols: usize) -> Result<Vec<f64>> {
    check(w, rows, cols)?;
    let all = rows + 1;
    let mut distances = vec![0.0; all * all];
    let scale = scale_of(w);
    if scale == 0.0 {
        return Ok(distances);
    }
    let Gram { data, .. } = gram(rows, cols, |i, k| exact(w[i * cols + k]) / scale);
    let depth = gamma(cols);
    let off = mul_up(2.0 * depth, add_up(1.0, 2.0 * depth));
    let square = |a: usize, b: usize| data[a * rows + b];
    let mut set = |a: usize, b: usize, distance: f64| {
        (distances[a * all + b], distances[b * all + a]) = (distance, distance);
    };
    for a in 0..rows {
        // A product with a power of two is exact.
        set(a, rows, sqrt_up(mul_up(square(a, a), add_up(1.0, 2.0 * depth))) * scale);
        for b in 0..a {
            let both = add_up(square(a, a), square(b, b));
            let error = mul_up(off, both);
            let found = (both - 2.0 * square(a, b)).next_up();
            let near = error > EXCESS * found;
            set(
                a,
                b,
                if near { apart(row(w, a, cols), row(w, b, cols)) } else { sqrt_up(add_up(found, error)) * scale },
            );
        }
    }
    Ok(distances)
}

fn row(w: &[f32], i: usize, cols: usize) -> &[f32] {
    &w[i * cols..(i + 1) * cols]
}

/// At least ‖a - b‖. Squares of differences of float32 numbers neither overflow nor underflow in float64.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(&x, &y)| (exact(x) - exact(y)) * (exact(x) - exact(y))).sum();
    // Two roundings of a difference in its square, one of that, and those of the sum.
    sqrt_up(mul_up(squares, add_up(1.0, 2.0 * gamma(a.len() + 4))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::test_support::{Dd, Random};

    /// Whether a distance squared is at least the exact square, and hardly more.
    fn bounds(w: &[f32], cols: usize, distance: f64, a: Option<usize>, b: usize) {
        let zeros = vec![0.0; cols];
        let (x, y) = (a.map_or(&zeros[..], |a| row(w, a, cols)), row(w, b, cols));
        let exact = x.iter().zip(y).fold(Dd::from(0.0), |sum, (&x, &y)| {
            let difference = Dd::from(exact(x)).minus(Dd::from(exact(y)));
            sum.plus(difference.times(difference))
        });
        let square = Dd::from(distance).times(Dd::from(distance));
        assert!(!square.minus(exact).is_negative(), "{a:?} {b}: {distance} is low");
        assert!(square.value() <= exact.value() * (1.0 + 4.0 * EXCESS), "{a:?} {b}: {distance} is far above");
    }

    #[test]
    fn distances_are_above_the_exact_ones_and_near_them() {
        let mut random = Random::new(4);
        for (rows, cols) in [(1, 1), (2, 1), (5, 3), (9, 40), (17, 130)] {
            for scale in [1e-44, 1e-30, 1.0, 1e38] {
                let mut w: Vec<f32> = (0..rows * cols).map(|_| random.number() * scale).collect();
                if rows > 3 {
                    // A row that is another, one that differs by a unit, one that is its opposite, and one of zeros.
                    w.copy_within(0..cols, cols);
                    w.copy_within(0..cols, 2 * cols);
                    w[2 * cols] = f32::from_bits(w[2 * cols].to_bits() + 1);
                    (0..cols).for_each(|k| w[3 * cols + k] = -w[k]);
                    w[4 * cols..5 * cols].fill(0.0);
                }
                let distances = row_distances_upper(&w, rows, cols).unwrap();
                for a in 0..rows {
                    bounds(&w, cols, distances[a * (rows + 1) + rows], None, a);
                    assert_eq!(distances[a * (rows + 1) + a], 0.0);
                    for b in 0..a {
                        bounds(&w, cols, distances[a * (rows + 1) + b], Some(a), b);
                        assert_eq!(distances[a * (rows + 1) + b], distances[b * (rows + 1) + a]);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_matrix_of_finite_numbers_is_refused() {
        assert_eq!(row_distances_upper(&[1.0; 5], 2, 2).unwrap_err().code, Code::ShapeMismatch);
        assert_eq!(row_distances_upper(&[f32::NAN; 4], 2, 2).unwrap_err().code, Code::NonFinite);
        assert_eq!(row_distances_upper(&[0.0; 4], 2, 2).unwrap(), [0.0; 9]);
    }

    #[test]
    fn the_distances_of_a_thousand_rows_take_no_longer_than_the_norm() {
        let mut random = Random::new(5);
        let (rows, cols) = (1000, 1024);
        let w: Vec<f32> = (0..rows * cols).map(|_| random.number()).collect();
        let time = |run: &dyn Fn()| {
            let start = std::time::Instant::now();
            run();
            start.elapsed()
        };
        let norm = time(&|| drop(crate::spectral_norm_upper(&w, rows, cols)));
        let distances = time(&|| drop(row_distances_upper(&w, rows, cols)));
        assert!(distances < 2 * norm, "{distances:?} against {norm:?}");
    }
}
