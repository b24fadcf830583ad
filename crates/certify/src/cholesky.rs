//! A Cholesky factorization as a proof that no eigenvalue of a symmetric matrix passes a number.
use crate::product::{Change, Panels, WIDTH, change_upper, dot};
use crate::rounding::{UNIT, add_up, div_up, gamma, mul_up};

/// Rows that are factorized before those below are updated by all of them together.
const BLOCK: usize = 32;

/// Room for everything that may underflow: far above what p² operations can lose, far below any rounding of O(1).
const UNDERFLOW: f64 = 1e-280;

/// Where the upper triangle of a symmetric matrix lies in memory: entry (i, j), j >= i, at `i stride + j`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Triangle {
    /// Rows of the matrix.
    pub order: usize,
    stride: usize,
    /// Beyond so many columns from the diagonal on a row is not kept.
    reach: usize,
}

impl Triangle {
    /// A whole matrix, row after row.
    pub fn dense(order: usize) -> Self {
        Triangle { order, stride: order, reach: order }
    }

    /// A matrix whose rows are zero from the `width`-th entry on, counted from the diagonal. Rows of a block are factorized up
    /// to a common column, and tiles on the diagonal write a few numbers to its left, at the end of the row before: both have room.
    pub fn banded(order: usize, width: usize) -> Self {
        let reach = width + BLOCK;
        let stride = reach + WIDTH;
        if stride < order { Triangle { order, stride, reach } } else { Triangle::dense(order) }
    }

    /// Numbers that are kept.
    pub fn len(&self) -> usize {
        self.order.saturating_sub(1) * self.stride + self.order
    }

    /// Where entry (i, j), j >= i, stands.
    pub fn at(&self, i: usize, j: usize) -> usize {
        i * self.stride + j
    }

    /// The entries of row i from the diagonal on.
    pub fn row<'a>(&self, a: &'a [f64], i: usize) -> &'a [f64] {
        &a[self.at(i, i)..][..self.reach.min(self.order - i)]
    }

    /// y = A x.
    pub fn multiply(&self, a: &[f64], x: &[f64], y: &mut [f64]) {
        y.fill(0.0);
        for i in 0..self.order {
            let row = self.row(a, i);
            let (behind, xs) = (&row[1..], &x[i + 1..]);
            y[i] += row[0] * x[i] + dot(behind, &xs[..behind.len()]);
            y[i + 1..].iter_mut().zip(behind).for_each(|(y, a)| *y += a * x[i]);
        }
    }
}

/// An upper bound of the largest eigenvalue of the symmetric `a` (entries of magnitude below 1e100, laid out as `triangle` says),
/// or `None` where the attempt to show that it lies near `candidate` failed. `work` holds as many numbers as `a`.
///
/// Proof (Higham 2002, Theorem 10.3; Rump, Verification of positive definiteness, BIT 46, 2006). Let B be
/// candidate·I - a as rounded: off the diagonal it is exact, on it |B_ii - (candidate - a_ii)| <= u |B_ii|, as fl(x) is
/// within u |fl(x)| of x. If the factorization of B ends with positive pivots, then, in whatever order its sums are formed,
/// R̂ᵀR̂ = B + E with |E| <= gamma_{p+1} |R̂|ᵀ|R̂|, so ‖E‖_2 <= gamma_{p+1} ‖R̂‖_F², and ‖R̂‖_F² = tr(B) + tr(E) gives
/// ‖R̂‖_F² <= tr(B) / (1 - gamma_{p+1}). As R̂ᵀR̂ is positive semidefinite, every eigenvalue of B is at least
/// -‖E‖_2, and so every one of a at most candidate + u max B_ii + gamma_{p+1} tr(B) / (1 - gamma_{p+1}). Zeros beyond a band
/// stay zeros: what would be computed there is what is kept.
pub(crate) fn eigenvalue_upper(a: &[f64], triangle: Triangle, candidate: f64, work: &mut [f64]) -> Option<f64> {
    let (mut trace, mut largest) = (0.0, 0.0_f64);
    work.iter_mut().zip(a).for_each(|(b, a)| *b = -a);
    for i in 0..triangle.order {
        let pivot = candidate - a[triangle.at(i, i)];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        work[triangle.at(i, i)] = pivot;
        trace = add_up(trace, pivot);
        largest = largest.max(pivot);
    }
    if !factorize(work, triangle) {
        return None;
    }
    let depth = gamma(triangle.order + 1);
    let backward = div_up(mul_up(depth, trace), (1.0 - depth).next_down());
    Some(add_up(add_up(candidate, add_up(mul_up(UNIT, largest), backward)), UNDERFLOW))
}

/// How a bound is looked for above an estimate; all relative to it.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    /// The first distance at which the proof is tried: an estimate that has settled needs no other.
    pub first: f64,
    /// Bisection between a refuted and a proved bound ends at this width.
    pub width: f64,
}

/// An upper bound of the largest eigenvalue of `a`, near `estimate` where that is near it; `known` where it is no better.
pub(crate) fn eigenvalue_above(a: &[f64], triangle: Triangle, estimate: f64, known: f64, search: Search) -> f64 {
    let mut work = vec![0.0; triangle.len()];
    let (mut refuted, mut gap, mut proved) = (0.0, search.first, None);
    while proved.is_none() && estimate * (1.0 + gap) < known {
        proved = eigenvalue_upper(a, triangle, estimate * (1.0 + gap), &mut work);
        if proved.is_none() {
            (refuted, gap) = (gap, gap * 16.0);
        }
    }
    let Some(mut bound) = proved else { return known };
    while gap - refuted > search.width {
        let middle = if refuted > 0.0 { (gap * refuted).sqrt() } else { gap / 16.0 };
        match eigenvalue_upper(a, triangle, estimate * (1.0 + middle), &mut work) {
            Some(better) => (gap, bound) = (middle, better.min(bound)),
            None => refuted = middle,
        }
    }
    bound.min(known)
}

/// Factorizes in place, block after block of rows; false at a pivot that is not positive.
fn factorize(a: &mut [f64], triangle: Triangle) -> bool {
    let Triangle { order, stride, reach } = triangle;
    for first in (0..order).step_by(BLOCK) {
        let (next, end) = (order.min(first + BLOCK), order.min(first + reach));
        let left = &mut a[triangle.at(first, first)..];
        let (rows, below) = left.split_at_mut(((next - first) * (stride + 1)).min(left.len()));
        if !factorize_rows(rows, stride, next - first, end - first) {
            return false;
        }
        if next < end {
            let panels = Panels::pack(next - first, end - next, |k, i| rows[k * stride + next - first + i]);
            let changed = (end - next - 1) * stride + end - next;
            change_upper(&panels, &mut below[..changed], stride, 0, Change::Subtract);
        }
    }
    true
}

/// Factorizes `count` rows, `stride` apart, of which the first starts with its pivot and has `columns`, by outer products.
fn factorize_rows(rows: &mut [f64], stride: usize, count: usize, columns: usize) -> bool {
    for k in 0..count {
        let (done, rest) = rows.split_at_mut(((k + 1) * stride).min(rows.len()));
        let row = &mut done[k * stride..][k..columns];
        let pivot = row[0];
        if pivot <= 0.0 || !pivot.is_finite() {
            return false;
        }
        let root = pivot.sqrt();
        row[0] = root;
        // A true division: the theorem allows one rounding for it, a product with the reciprocal has two.
        row[1..].iter_mut().for_each(|x| *x /= root);
        for (offset, target) in rest.chunks_mut(stride).take(count - k - 1).enumerate() {
            let from = 1 + offset;
            let factor = row[from];
            for (x, y) in target[k + from..columns].iter_mut().zip(&row[from..]) {
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
            let proved = eigenvalue_upper(a, Triangle::dense(p), f64::from_bits(middle), &mut work).is_some();
            (low, high) = if proved { (low, middle) } else { (middle, high) };
        }
        let candidate = f64::from_bits(high);
        (candidate, eigenvalue_upper(a, Triangle::dense(p), candidate, &mut work).unwrap())
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
    fn a_band_is_factorized_and_multiplied_as_the_whole_matrix_is() {
        let mut random = Random::new(6);
        for (order, width) in [(1, 1), (40, 3), (70, 1), (130, 20), (200, 33), (333, 64), (500, 100)] {
            let (band, whole) = (Triangle::banded(order, width), Triangle::dense(order));
            let (mut a, mut b) = (vec![0.0; band.len()], vec![0.0; whole.len()]);
            for i in 0..order {
                for j in i..order.min(i + width) {
                    let x = f64::from(random.number());
                    (a[band.at(i, j)], b[whole.at(i, j)]) = (x, x);
                }
            }
            let x: Vec<f64> = (0..order).map(|_| f64::from(random.number())).collect();
            let (mut y, mut z) = (vec![0.0; order], vec![0.0; order]);
            band.multiply(&a, &x, &mut y);
            whole.multiply(&b, &x, &mut z);
            assert!(y.iter().zip(&z).all(|(y, z)| (y - z).abs() < 1e-12), "{order} {width}");
            for i in 0..order {
                let product = (0..order).map(|j| b[whole.at(i.min(j), i.max(j))] * x[j]).sum::<f64>();
                assert!((z[i] - product).abs() < 1e-12, "row {i} of {order}");
            }
            let (mut work, mut other) = (vec![0.0; a.len()], vec![0.0; b.len()]);
            // From too low to far above: what is proved of one is proved of the other.
            let proved = (0..40).map(|k| f64::from(k) * 0.02 * (width as f64 + 2.0)).map(|candidate| {
                let of_band = eigenvalue_upper(&a, band, candidate, &mut work);
                assert_eq!(of_band, eigenvalue_upper(&b, whole, candidate, &mut other), "{order} {width} {candidate}");
                of_band.is_some()
            });
            let proved = proved.filter(|proved| *proved).count();
            assert!((1..40).contains(&proved), "{order} {width}: {proved}");
        }
        assert!(Triangle::banded(500, 100).len() < 500 * 200);
    }

    #[test]
    fn a_candidate_well_below_the_eigenvalue_is_never_proved() {
        let mut work = vec![0.0; 9];
        let a = [2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0];
        let lambda = Dd::from(2.0).plus(Dd::from(2f64.sqrt())).value();
        for part in [0.1, 0.5, 0.9, 1.0 - 1e-9] {
            assert_eq!(eigenvalue_upper(&a, Triangle::dense(3), lambda * part, &mut work), None);
        }
        assert!(eigenvalue_upper(&a, Triangle::dense(3), lambda * (1.0 + 1e-9), &mut work).unwrap() >= lambda);
    }
}
