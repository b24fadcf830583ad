//! A Cholesky factorization as a proof that no eigenvalue of a symmetric matrix passes a number.
use crate::product::{Change, Panels, change_upper};
use crate::rounding::{UNIT, add_up, div_up, gamma, mul_up};

/// Rows that are factorized before those below are updated by all of them together.
const BLOCK: usize = 32;

/// Room for everything that may underflow: far above what p² operations can lose, far below any rounding of O(1).
const UNDERFLOW: f64 = 1e-280;

/// An upper bound of the largest eigenvalue of the symmetric `a` (`[p, p]`, entries of magnitude below 1e100), or `None`
/// where the attempt to show that it lies near `candidate` failed. `work` holds p² numbers.
///
/// Proof (Higham 2002, Theorem 10.3; Rump, Verification of positive definiteness, BIT 46, 2006). Let B be
/// candidate·I - a as rounded: off the diagonal it is exact, on it |B_ii - (candidate - a_ii)| <= u |B_ii|, as fl(x) is
/// within u |fl(x)| of x. If the factorization of B ends with positive pivots, then, in whatever order its sums are formed,
/// R̂ᵀR̂ = B + E with |E| <= gamma_{p+1} |R̂|ᵀ|R̂|, so ‖E‖_2 <= gamma_{p+1} ‖R̂‖_F², and ‖R̂‖_F² = tr(B) + tr(E) gives
/// ‖R̂‖_F² <= tr(B) / (1 - gamma_{p+1}). As R̂ᵀR̂ is positive semidefinite, every eigenvalue of B is at least
/// -‖E‖_2, and so every one of a at most candidate + u max B_ii + gamma_{p+1} tr(B) / (1 - gamma_{p+1}).
pub(crate) fn eigenvalue_upper(a: &[f64], p: usize, candidate: f64, work: &mut [f64]) -> Option<f64> {
    let (mut trace, mut largest) = (0.0, 0.0_f64);
    for i in 0..p {
        for j in 0..p {
            work[i * p + j] = -a[i * p + j];
        }
        let pivot = candidate - a[i * p + i];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        work[i * p + i] = pivot;
        trace = add_up(trace, pivot);
        largest = largest.max(pivot);
    }
    if !factorize(work, p) {
        return None;
    }
    let depth = gamma(p + 1);
    let backward = div_up(mul_up(depth, trace), (1.0 - depth).next_down());
    Some(add_up(add_up(candidate, add_up(mul_up(UNIT, largest), backward)), UNDERFLOW))
}

/// Factorizes in place into the upper triangle, block after block of rows; false at a pivot that is not positive.
fn factorize(a: &mut [f64], p: usize) -> bool {
    for first in (0..p).step_by(BLOCK) {
        let next = p.min(first + BLOCK);
        let (rows, below) = a[first * p..].split_at_mut((next - first) * p);
        if !factorize_rows(rows, p, first) {
            return false;
        }
        if next < p {
            let panels = Panels::pack(next - first, p - next, |k, i| rows[k * p + next + i]);
            change_upper(&panels, below, p, next, Change::Subtract);
        }
    }
    true
}

/// Factorizes the rows of a block, the first of which has its pivot in column `first`, by outer products.
fn factorize_rows(rows: &mut [f64], p: usize, first: usize) -> bool {
    for k in 0..rows.len() / p {
        let (done, rest) = rows.split_at_mut((k + 1) * p);
        let row = &mut done[k * p + first + k..];
        let pivot = row[0];
        if pivot <= 0.0 || !pivot.is_finite() {
            return false;
        }
        let root = pivot.sqrt();
        row[0] = root;
        // A true division: the theorem allows one rounding for it, a product with the reciprocal has two.
        row[1..].iter_mut().for_each(|x| *x /= root);
        for (offset, target) in rest.chunks_exact_mut(p).enumerate() {
            let from = 1 + offset;
            let factor = row[from];
            for (x, y) in target[first + k + from..].iter_mut().zip(&row[from..]) {
                *x -= factor * y;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Dd, Random};

    /// The smallest candidate near `lambda` that is proved, by bisection over neighbouring float64.
    fn smallest_proved(a: &[f64], p: usize, lambda: f64) -> (f64, f64) {
        let mut work = vec![0.0; p * p];
        let (mut low, mut high) = ((lambda * (1.0 - 1e-12)).to_bits(), (lambda * (1.0 + 1e-12)).to_bits());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let proved = eigenvalue_upper(a, p, f64::from_bits(middle), &mut work).is_some();
            (low, high) = if proved { (low, middle) } else { (middle, high) };
        }
        let candidate = f64::from_bits(high);
        (candidate, eigenvalue_upper(a, p, candidate, &mut work).unwrap())
    }

    #[test]
    fn a_factorization_that_rounding_lets_pass_below_the_eigenvalue_still_gives_a_bound_above_it() {
        let mut random = Random::new(5);
        let mut below = 0;
        for round in 0..2000 {
            // An arrow: z in the last corner, y along the last row and column, zeros elsewhere. Its largest eigenvalue is
            // z / 2 + sqrt(z² / 4 + ‖y‖²). As y is the same number throughout, its rounding in the last pivot is too.
            let p = 4 + round % 60;
            let mut a = vec![0.0; p * p];
            let y = f64::from(random.number());
            a[p * p - 1] = f64::from(random.number());
            for i in 0..p - 1 {
                (a[i * p + p - 1], a[(p - 1) * p + i]) = (y, y);
            }
            let half = Dd::from(a[p * p - 1] / 2.0);
            let norm = Dd::from(y).times(Dd::from(y)).times(Dd::from((p - 1) as f64));
            let lambda = half.plus(half.times(half).plus(norm).root());
            let (candidate, bound) = smallest_proved(&a, p, lambda.value());
            // More than the steps of outward rounding would make good.
            below += usize::from(Dd::from(candidate * (1.0 + 1.5 * f64::EPSILON)).minus(lambda).is_negative());
            let excess = Dd::from(bound).minus(lambda);
            assert!(!excess.is_negative(), "round {round}: below by {:e}", excess.value());
            assert!(excess.value() <= 1e-10, "round {round}: above by {:e}", excess.value());
        }
        assert!(below >= 5, "only {below} candidates are below the eigenvalue: the test has become idle");
    }

    #[test]
    fn a_candidate_well_below_the_eigenvalue_is_never_proved() {
        let mut work = vec![0.0; 9];
        let a = [2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0];
        let lambda = Dd::from(2.0).plus(Dd::from(2f64.sqrt())).value();
        for part in [0.1, 0.5, 0.9, 1.0 - 1e-9] {
            assert_eq!(eigenvalue_upper(&a, 3, lambda * part, &mut work), None);
        }
        assert!(eigenvalue_upper(&a, 3, lambda * (1.0 + 1e-9), &mut work).unwrap() >= lambda);
    }
}
