//! The Gram matrix of the small side of a matrix, with a proved bound of its rounding error.
use crate::rounding::{add_up, gamma, mul_up};

/// Independent partial sums of a dot product: fills the SIMD registers and shortens the chain of roundings.
const LANES: usize = 8;

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

/// `rows` holds `order` rows of `length` numbers of magnitude at most 1 that are float32 numbers times a power of two.
///
/// Rounding: a product of two such numbers has 48 significant bits, at most, so it is exact in float64 (their exponents
/// are above -300, nothing underflows). What rounds is the sum; no product passes through more than
/// d = ceil(length / LANES) + LANES additions, so |Ĝ_ij - G_ij| <= gamma_d Σ_k |a_ik| |a_jk| (Higham 2002, (3.4)) and
/// ‖Ĝ - G‖_2 <= ‖Ĝ - G‖_F <= gamma_d ‖ |A| |A|ᵀ ‖_F <= gamma_d ‖A‖_F². The trace gives ‖A‖_F² up to the same factor.
pub(crate) fn gram(rows: &[f64], order: usize, length: usize) -> Gram {
    let mut data = vec![0.0; order * order];
    for i in 0..order {
        for j in 0..=i {
            let value = dot(&rows[i * length..(i + 1) * length], &rows[j * length..(j + 1) * length]);
            data[i * order + j] = value;
            data[j * order + i] = value;
        }
    }
    let depth = gamma(length.div_ceil(LANES) + LANES);
    // Ĝ_ii >= (1 - gamma_d) G_ii, and 1 / (1 - gamma) <= 1 + 2 gamma for gamma <= 1/2.
    let trace = (0..order).fold(0.0, |sum, i| add_up(sum, data[i * order + i]));
    let frobenius = mul_up(trace, add_up(1.0, 2.0 * depth));
    Gram { order, data, error: mul_up(depth, frobenius), frobenius }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a_chunks.remainder().iter().zip(b_chunks.remainder());
    for (lane, (x, y)) in lanes.iter_mut().zip(tail) {
        *lane = x * y;
    }
    for (x, y) in a_chunks.zip(b_chunks) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum()
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
            let g = gram(&rows, order, length);
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
