//! The largest eigenvalue of a Gram matrix from below: where a proof starts, of no weight in it.
use crate::product::dot;

/// Steps at most; each needs a product with the matrix and a vector that is kept.
const STEPS: usize = 120;
/// Steps between two looks at the estimate.
const PACE: usize = 4;
/// The estimate has settled where so many steps raise it by less than this part of it.
const SETTLED: f64 = 1e-13;

/// An estimate of the largest eigenvalue of a symmetric positive semidefinite matrix of order `p`, not zero, of which `multiply(x, y)`
/// gives y = A x, by Lanczos' method with full reorthogonalization (Golub and Van Loan, Matrix Computations, 2013, 10.3).
pub(crate) fn largest_eigenvalue(
    p: usize,
    diagonal: impl Fn(usize) -> f64,
    multiply: impl Fn(&[f64], &mut [f64]),
) -> f64 {
    let longest = (0..p).fold(0, |best, i| if diagonal(i) > diagonal(best) { i } else { best });
    let mut estimate = diagonal(longest);
    // A row is a step from its axis; what is added keeps it from being orthogonal to the dominant space.
    let (mut axis, mut row) = (vec![0.0; p], vec![0.0; p]);
    axis[longest] = 1.0;
    multiply(&axis, &mut row);
    let size = dot(&row, &row).sqrt();
    let mut x: Vec<f64> = row.iter().enumerate().map(|(i, x)| x / size + 0.1 * noise(i) / (p as f64).sqrt()).collect();
    normalize(&mut x);
    let (mut basis, mut y) = (vec![x], vec![0.0; p]);
    let (mut alphas, mut betas) = (Vec::new(), Vec::new());
    while alphas.len() < STEPS.min(p) {
        let last = &basis[basis.len() - 1];
        multiply(last, &mut y);
        alphas.push(dot(last, &y));
        // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9).
        for v in basis.iter().chain(&basis) {
            let part = dot(v, &y);
            y.iter_mut().zip(v).for_each(|(y, v)| *y -= part * v);
        }
        let beta = dot(&y, &y).sqrt();
        let ended = beta <= SETTLED * estimate;
        if ended || alphas.len().is_multiple_of(PACE) || alphas.len() == p {
            let next = largest_of_tridiagonal(&alphas, &betas);
            let settled = next - estimate <= SETTLED * next;
            estimate = estimate.max(next);
            if settled && alphas.len() > PACE || ended {
                break;
            }
        }
        betas.push(beta);
        basis.push(y.iter().map(|v| v / beta).collect());
    }
    estimate
}

/// The largest eigenvalue of a symmetric tridiagonal matrix, by bisection on the signs of its pivots (Golub and Van Loan, 8.4).
fn largest_of_tridiagonal(alphas: &[f64], betas: &[f64]) -> f64 {
    let off = |i: usize| betas.get(i).copied().unwrap_or(0.0);
    let disc = |i: usize| alphas[i] + off(i) + if i > 0 { off(i - 1) } else { 0.0 };
    let mut low = alphas.iter().fold(0.0_f64, |m, &a| m.max(a));
    let mut high = (0..alphas.len()).map(disc).fold(low, f64::max);
    let above_all = |x: f64| {
        let mut pivot = f64::INFINITY;
        alphas.iter().enumerate().all(|(i, a)| {
            let carried = if i > 0 { betas[i - 1] * betas[i - 1] / pivot } else { 0.0 };
            pivot = x - a - carried;
            pivot > 0.0
        })
    };
    while high - low > f64::EPSILON * high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        (low, high) = if above_all(middle) { (low, middle) } else { (middle, high) };
    }
    low
}

fn normalize(x: &mut [f64]) {
    let norm = dot(x, x).sqrt();
    x.iter_mut().for_each(|v| *v /= norm);
}

/// Numbers in [-1, 1) without a pattern (splitmix64).
fn noise(i: usize) -> f64 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use crate::product::multiply_vector;

    fn largest_eigenvalue(a: &[f64], p: usize) -> f64 {
        super::largest_eigenvalue(p, |i| a[i * p + i], |x, y| multiply_vector(a, x, y))
    }

    #[test]
    fn known_eigenvalues_are_found() {
        assert_eq!(largest_eigenvalue(&[3.0], 1), 3.0);
        // Of the second difference of n points: 2 + 2 cos(pi / (n + 1)).
        for n in [2, 5, 40] {
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                a[i * n + i] = 2.0;
                if i > 0 {
                    (a[i * n + i - 1], a[(i - 1) * n + i]) = (-1.0, -1.0);
                }
            }
            let exact = 2.0 + 2.0 * (std::f64::consts::PI / (n as f64 + 1.0)).cos();
            let found = largest_eigenvalue(&a, n);
            assert!((found - exact).abs() <= 1e-12, "{n}: {found}, not {exact}");
        }
    }

    #[test]
    fn a_dominant_axis_orthogonal_to_the_longest_row_is_found() {
        // The block of ones has eigenvalue 4, the longest row belongs to an axis of its own with 2.
        let a: Vec<f64> = (0..25)
            .map(|i| match (i / 5, i % 5) {
                (0, 0) => 2.0,
                (0, _) | (_, 0) => 0.0,
                _ => 1.0,
            })
            .collect();
        assert!((largest_eigenvalue(&a, 5) - 4.0).abs() < 1e-12);
    }
}
