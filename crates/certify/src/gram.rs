//! The Gram matrix of the small side of a matrix, with a proved bound of its rounding error.
use crate::product::{Change, Panels, change_upper};
use crate::rounding::{add_up, gamma, mul_up};

/// Columns of the small side that are multiplied at a time: two panels of them fit the first cache.
const DEPTH: usize = 128;

/// A symmetric Gram matrix G = A Aᵀ as computed, A being the rows of the small side scaled by a power of two.
pub(crate) struct Gram {
    /// Order of the matrix.
    pub order: usize,
    /// The computed matrix, `[order, order]` row-major, symmetric.
    pub data: Vec<f64>,
    /// At least the spectral norm of (computed - exact).
    pub error: f64,
    /// At least ‖A‖_F².
    pub frobenius: f64,
}

/// `entry(i, k)` gives the numbers of `order` rows of `length`: of magnitude at most 1, float32 numbers times a power of two.
///
/// Rounding: a product of two such numbers has 48 significant bits, at most, so it is exact in float64 (their exponents
/// are above -300, nothing underflows). What rounds is the sum of n = `length` of them, in whatever order, so
/// |Ĝ_ij - G_ij| <= gamma_n Σ_k |a_ik| |a_jk| (Higham 2002, (3.4)) and
/// ‖Ĝ - G‖_2 <= ‖Ĝ - G‖_F <= gamma_n ‖ |A| |A|ᵀ ‖_F <= gamma_n ‖A‖_F². The trace gives ‖A‖_F² up to the same factor.
pub(crate) fn gram(order: usize, length: usize, entry: impl Fn(usize, usize) -> f64) -> Gram {
    let mut data = vec![0.0; order * order];
    for first in (0..length).step_by(DEPTH) {
        let depth = DEPTH.min(length - first);
        let panels = Panels::pack(depth, order, |k, i| entry(i, first + k));
        change_upper(&panels, &mut data, order, 0, Change::Add);
    }
    for i in 0..order {
        for j in 0..i {
            data[i * order + j] = data[j * order + i];
        }
    }
    let depth = gamma(length);
    // Ĝ_ii >= (1 - gamma_n) G_ii, and 1 / (1 - gamma) <= 1 + 2 gamma for gamma <= 1/2.
    let trace = (0..order).fold(0.0, |sum, i| add_up(sum, data[i * order + i]));
    let frobenius = mul_up(trace, add_up(1.0, 2.0 * depth));
    Gram { order, data, error: mul_up(depth, frobenius), frobenius }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Dd, Random};

    #[test]
    fn the_error_bound_covers_what_the_sums_have_lost() {
        let mut random = Random::new(1);
        for (order, length) in [(1, 3000), (3, 700), (6, 64), (17, 130)] {
            let rows: Vec<f64> =
                (0..order * length).map(|k| f64::from(random.number()) * 2f64.powi(-(k as i32 * 7 % 23))).collect();
            let g = gram(order, length, |i, k| rows[i * length + k]);
            let (mut lost, mut trace) = (0.0_f64, Dd::from(0.0));
            for i in 0..order {
                for j in 0..order {
                    let exact = (0..length).fold(Dd::from(0.0), |sum, k| {
                        sum.plus(Dd::from(rows[i * length + k]).times(Dd::from(rows[j * length + k])))
                    });
                    let error = Dd::from(g.data[i * order + j]).minus(exact).value();
                    lost += error * error;
                    trace = if i == j { trace.plus(exact) } else { trace };
                }
            }
            // Not idle: something is lost, and the bound is below what would spoil ten digits.
            let lost = lost.sqrt();
            assert!(lost > 0.0 && lost <= g.error && g.error <= 1e-12 * g.frobenius, "{order}x{length}: {lost:e}");
            assert!(!Dd::from(g.frobenius).minus(trace).is_negative(), "{order}x{length}");
        }
    }
}
