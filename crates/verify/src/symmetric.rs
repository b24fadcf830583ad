//! Symmetric matrices, and proofs that none of their eigenvalues passes a number.
use crate::outward::{UNIT, add, div, gamma, mul};
use crate::work::{Stopped, Work};

/// Rows that are eliminated at a time.
const BLOCK: usize = 8;
/// Far above what operations that underflow can lose, far below any rounding of O(1).
const UNDERFLOW: f64 = 1e-280;
/// Steps of Lanczos' method at most, and between two looks at what they have found.
const STEPS: usize = 300;
const PACE: usize = 6;
/// It has settled where as many steps raise an estimate by no more than this part of it.
const SETTLED: f64 = 1e-13;

/// A symmetric matrix of which the entries (i, j) with j - i < width are kept, row after row from the diagonal on; others are 0.
pub(crate) struct Symmetric {
    order: usize,
    width: usize,
    data: Vec<f64>,
}

impl Symmetric {
    pub fn zeros(order: usize, width: usize) -> Self {
        let width = width.clamp(1, order.max(1));
        Symmetric { order, width, data: vec![0.0; order * width] }
    }

    /// Operations of a factorization of such a matrix.
    pub fn cost(order: usize, width: usize) -> f64 {
        let (order, width) = (order as f64, width.min(order) as f64);
        order * width * width / if width < order { 1.0 } else { 3.0 }
    }

    /// Entry (i, j), j >= i, within the band.
    pub fn at(&mut self, i: usize, j: usize) -> &mut f64 {
        &mut self.data[i * self.width + j - i]
    }

    /// Whether all entries are 0.
    pub fn is_zero(&self) -> bool {
        self.data.iter().all(|a| *a == 0.0)
    }

    fn diagonal(&self) -> impl Iterator<Item = f64> + '_ {
        self.data.iter().step_by(self.width).copied()
    }

    fn multiply(&self, x: &[f64], y: &mut [f64]) {
        y.fill(0.0);
        for (i, row) in self.data.chunks_exact(self.width).enumerate() {
            let reach = self.width.min(self.order - i);
            let mut sum = row[0] * x[i];
            for (k, a) in row.iter().enumerate().take(reach).skip(1) {
                sum += a * x[i + k];
                y[i + k] += a * x[i];
            }
            y[i] += sum;
        }
    }

    /// Whether it is shown that no eigenvalue is above `limit`.
    ///
    /// Proof (Higham 2002, Theorem 10.3; Rump, Verification of positive definiteness, BIT 46, 2006). Let B be candidate·I - A as rounded, by
    /// at most u |B_ii| on the diagonal. If a Cholesky factorization of B ends with positive pivots, then, in whatever order its
    /// sums are formed, RᵀR = B + E with ‖E‖ <= gamma_(p + 1) ‖R‖_F² <= gamma_(p + 1) tr(B) / (1 - gamma_(p + 1)), so that no eigenvalue of A is
    /// above candidate + u max B_ii + that. Both grow with the candidate: the candidate is `limit` less what they are for `limit`.
    pub fn is_below(&self, limit: f64, work: &Work) -> Result<bool, Stopped> {
        let depth = gamma(self.order + 1, UNIT);
        let (mut trace, mut largest) = (0.0, 0.0_f64);
        for a in self.diagonal() {
            let pivot = (limit - a).next_up();
            trace = add(trace, pivot.max(0.0));
            largest = largest.max(pivot);
        }
        let lost = add(add(mul(UNIT, largest), div(mul(depth, trace), (1.0 - depth).next_down())), UNDERFLOW);
        let candidate = (limit - lost).next_down();
        let mut rest: Vec<f64> = self.data.iter().map(|a| -a).collect();
        for (pivot, a) in rest.iter_mut().step_by(self.width).zip(self.diagonal()) {
            *pivot = candidate - a;
        }
        self.eliminate(&mut rest, work)
    }

    /// A Cholesky factorization in place, a block of rows after the other; false at a pivot that is not positive.
    fn eliminate(&self, a: &mut [f64], work: &Work) -> Result<bool, Stopped> {
        let (order, width) = (self.order, self.width);
        for first in (0..order).step_by(BLOCK) {
            let next = order.min(first + BLOCK);
            for k in first..next {
                let (row, below) = a[k * width..].split_at_mut(width);
                let pivot = row[0];
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return Ok(false);
                }
                let root = pivot.sqrt();
                row[0] = root;
                row[1..].iter_mut().for_each(|x| *x /= root);
                for (below, offset) in below.chunks_exact_mut(width).zip(1..width.min(next - k)) {
                    let factor = row[offset];
                    below.iter_mut().zip(&row[offset..]).for_each(|(x, y)| *x -= factor * y);
                }
            }
            let (done, below) = a.split_at_mut(next * width);
            let block = &done[first * width..];
            for (row, i) in below.chunks_exact_mut(width).zip(next..order.min(next - 1 + width)) {
                // What all rows of a whole block reach is taken off at once.
                let common = if next - first == BLOCK { (first + width).min(order).saturating_sub(i) } else { 0 };
                let part = |k: usize| &block[k * width + i - first - k..(k + 1) * width];
                if common > 0 {
                    let rows: [&[f64]; BLOCK] = std::array::from_fn(|k| &part(k)[..common]);
                    let factors = rows.map(|row| row[0]);
                    for (j, x) in row[..common].iter_mut().enumerate() {
                        *x -= (0..BLOCK).map(|k| factors[k] * rows[k][j]).sum::<f64>();
                    }
                }
                for k in (0..next - first).filter(|k| i - first - k < width) {
                    let of = part(k);
                    let factor = of[0];
                    row.iter_mut().zip(of).skip(common).for_each(|(x, y)| *x -= factor * y);
                }
            }
            work.did(((next - first) * width) as f64 * width.min(order - first) as f64)?;
        }
        Ok(true)
    }

    /// The largest eigenvalue about, seldom from above, by Lanczos' method with full reorthogonalization (Golub and Van Loan, Matrix
    /// Computations, 2013, 10.3); of a matrix whose eigenvalues are not negative. No proof rests on it.
    pub fn estimate(&self, work: &Work) -> Result<f64, Stopped> {
        let p = self.order;
        let mut estimate = self.diagonal().fold(0.0, f64::max);
        if estimate == 0.0 {
            return Ok(0.0);
        }
        let mut basis = vec![unit((0..p).map(noise).collect())];
        let (mut alphas, mut betas, mut y) = (Vec::new(), Vec::new(), vec![0.0; p]);
        while alphas.len() < STEPS.min(p) {
            let last = &basis[basis.len() - 1];
            self.multiply(last, &mut y);
            alphas.push(dot(last, &y));
            for _ in 0..2 {
                for v in &basis {
                    let part = dot(v, &y);
                    y.iter_mut().zip(v).for_each(|(y, v)| *y -= part * v);
                }
            }
            let beta = dot(&y, &y).sqrt();
            let ended = beta <= SETTLED * estimate;
            if ended || alphas.len().is_multiple_of(PACE) || alphas.len() == p {
                let found = largest_of_tridiagonal(&alphas, &betas);
                let settled = found - estimate <= SETTLED * found && alphas.len() > PACE;
                estimate = estimate.max(found);
                if settled || ended {
                    break;
                }
            }
            betas.push(beta);
            basis.push(y.iter().map(|v| v / beta).collect());
            work.did((2 * self.data.len() + 4 * p * basis.len()) as f64)?;
        }
        Ok(estimate)
    }
}

pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    // Four sums of their own, which a processor forms side by side.
    let ((xs, x), (ys, y)) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..4 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f64>() + x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>()
}

fn unit(x: Vec<f64>) -> Vec<f64> {
    let norm = dot(&x, &x).sqrt();
    x.into_iter().map(|v| v / norm).collect()
}

/// Numbers in [-1, 1) without a pattern (splitmix64).
fn noise(i: usize) -> f64 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// The largest eigenvalue of a symmetric tridiagonal matrix, by bisection on the signs of its pivots (Golub and Van Loan, 8.4).
fn largest_of_tridiagonal(alphas: &[f64], betas: &[f64]) -> f64 {
    let beta = |i: usize| betas.get(i).copied().unwrap_or(0.0);
    let before = |i: usize| if i > 0 { beta(i - 1) } else { 0.0 };
    let mut low = alphas.iter().copied().fold(0.0, f64::max);
    let mut high = (0..alphas.len()).map(|i| alphas[i] + beta(i) + before(i)).fold(low, f64::max);
    let above_all = |x: f64| {
        let mut pivot = f64::INFINITY;
        (0..alphas.len()).all(|i| {
            pivot = x - alphas[i] - before(i) * before(i) / pivot;
            pivot > 0.0
        })
    };
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return low;
        }
        if above_all(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_ON: &dyn Fn(f64) -> bool = &|_| true;

    #[test]
    fn second_differences_are_below_their_largest_eigenvalue_and_not_below_less() {
        // 2 + 2 cos(pi / (n + 1)).
        for n in [1, 2, 7, 8, 9, 40, 333] {
            for width in [2, n] {
                let mut a = Symmetric::zeros(n, width);
                for i in 0..n {
                    *a.at(i, i) = 2.0;
                    if i + 1 < n {
                        *a.at(i, i + 1) = -1.0;
                    }
                }
                let largest = 2.0 + 2.0 * (std::f64::consts::PI / (n as f64 + 1.0)).cos();
                let work = Work::new(GO_ON);
                // Where many eigenvalues lie close, the method has not settled on the largest by the end.
                let near = if n < 100 { 1e-9 } else { 1e-4 };
                assert!((a.estimate(&work).unwrap() - largest).abs() < near, "{n} {width}");
                assert!(a.is_below(largest * (1.0 + 1e-10), &work).unwrap(), "{n} {width}");
                assert!(!a.is_below(largest * (1.0 - 1e-10), &work).unwrap(), "{n} {width}");
            }
        }
    }

    #[test]
    fn bands_are_eliminated_as_whole_matrices_are() {
        for (order, width) in [(1, 1), (20, 3), (33, 9), (70, 20), (130, 64), (64, 64)] {
            let (mut band, mut whole) = (Symmetric::zeros(order, width), Symmetric::zeros(order, order));
            for i in 0..order {
                for j in i..order.min(i + width) {
                    let x = noise(i * order + j);
                    (*band.at(i, j), *whole.at(i, j)) = (x, x);
                }
            }
            let work = Work::new(GO_ON);
            let below = |limit: f64| (band.is_below(limit, &work).unwrap(), whole.is_below(limit, &work).unwrap());
            let found: Vec<_> = (0..200).map(|k| below(f64::from(k) * 0.2)).collect();
            assert!(found.iter().all(|(a, b)| a == b), "{order} {width}");
            assert!(found.iter().any(|(a, _)| *a) && found.iter().any(|(a, _)| !a), "{order} {width}");
        }
    }

    #[test]
    fn a_factorization_ends_when_somebody_wants_it_to() {
        let mut a = Symmetric::zeros(400, 400);
        (0..400).for_each(|i| *a.at(i, i) = 1.0);
        assert_eq!(a.is_below(2.0, &Work::new(&|_| false)), Err(Stopped));
    }
}
