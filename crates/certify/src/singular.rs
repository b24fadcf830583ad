//! Singular values of a float32 matrix: found in float64, of no weight in any proof.
use crate::error::Result;
use crate::norm::{check, exact};
use crate::product::dot;

/// The min(rows, cols) singular values of `w` (`[rows, cols]`, row-major), descending, or of those the first and the last alone, each off
/// by about 1e-15 of the largest times the square root of the order. None where there are no entries.
///
/// Householder reflections from both sides leave a bidiagonal matrix, whose singular values are found by bisection (Golub and Van Loan,
/// Matrix Computations, 2013, 5.4.8 and 8.4). With q the larger side and p the smaller one that costs 4 q p² - 4/3 p³ operations, on one
/// thread, and q p numbers. Squares of float32 numbers are far from the ends of float64: nothing is scaled.
///
/// Errors: `SHAPE_MISMATCH` unless `w` has rows·cols entries, `NON_FINITE` for NaN and infinite entries.
pub fn singular_values(w: &[f32], rows: usize, cols: usize, extremes: bool) -> Result<Vec<f64>> {
    check(w, rows, cols)?;
    if w.is_empty() {
        return Ok(Vec::new());
    }
    let (long, short) = (rows.max(cols), rows.min(cols));
    let entry = |i: usize, k: usize| exact(w[if rows >= cols { i * cols + k } else { k * cols + i }]);
    let tall = (0..long * short).map(|at| entry(at / short, at % short)).collect();
    let between = bidiagonal(tall, short);
    let smaller = (0..short).rev().filter(|&i| !extremes || i == 0 || i + 1 == short);
    Ok(smaller.map(|i| value_above(&between, i)).collect())
}

/// The entries, each row's own and the one beside it in turn, of the upper bidiagonal matrix to which reflections bring `a` of `n` columns
/// and no fewer rows. They are the entries beside the diagonal of 0 of a symmetric tridiagonal matrix of order 2 n, whose eigenvalues are
/// the singular values and their negations.
fn bidiagonal(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    let m = a.len() / n;
    let mut entries = Vec::with_capacity(2 * n - 1);
    for k in 0..n {
        // From the left: what is below the diagonal in this column.
        let column: Vec<f64> = (k..m).map(|i| a[i * n + k]).collect();
        let left = reflection(column);
        entries.push(left.value);
        if k + 1 == n {
            break;
        }
        let width = n - k - 1;
        let row = |i: usize| (k + i) * n + k + 1..(k + i + 1) * n;
        let mut products = vec![0.0; width];
        for (i, v) in left.axis.iter().enumerate() {
            add(&mut products, *v, &a[row(i)]);
        }
        // From the right: what is behind the entry beside the diagonal. Both are done in one pass over the matrix.
        add(&mut a[row(0)], -left.axis[0], &products);
        let right = reflection(a[row(0)].to_vec());
        entries.push(right.value);
        for (i, v) in left.axis.iter().enumerate().skip(1) {
            let line = &mut a[row(i)];
            add(line, -v, &products);
            let along = dot(line, &right.axis);
            add(line, -along, &right.axis);
        }
    }
    entries
}

/// What brings a vector to its first axis: x - axis (axis · x) is `value` there and 0 elsewhere.
struct Reflection {
    /// Of length sqrt 2; zero where nothing has to be done.
    axis: Vec<f64>,
    value: f64,
}

fn reflection(mut x: Vec<f64>) -> Reflection {
    let norm = dot(&x, &x).sqrt();
    if norm == 0.0 {
        return Reflection { axis: x, value: 0.0 };
    }
    let value = if x[0] > 0.0 { -norm } else { norm };
    x[0] -= value;
    // |x|² = 2 norm |x_0|, of two summands of one sign.
    let size = (norm * x[0].abs()).sqrt();
    x.iter_mut().for_each(|v| *v /= size);
    Reflection { axis: x, value }
}

/// y += factor x.
fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// The singular value that has `smaller` ones below it, from the entries of a bidiagonal matrix.
fn value_above(entries: &[f64], smaller: usize) -> f64 {
    let order = entries.len() / 2 + 1;
    // No eigenvalue of the tridiagonal matrix is beyond Gershgorin's circles.
    let beside = |i: usize| entries.get(i).map_or(0.0, |x| x.abs());
    let (mut low, mut high) =
        (0.0, (0..=entries.len()).map(|i| beside(i.wrapping_sub(1)) + beside(i)).fold(0.0, f64::max));
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return low;
        }
        (low, high) = if below(entries, middle) > order + smaller { (low, middle) } else { (middle, high) };
    }
}

/// How many eigenvalues of the tridiagonal matrix of these entries beside a diagonal of 0 are below `x`, by the signs of its pivots.
fn below(entries: &[f64], x: f64) -> usize {
    let mut pivot = -x;
    let mut count = 1;
    for b in entries {
        // A pivot of 0 is as good as a small positive one.
        pivot = -x - b * b / if pivot == 0.0 { f64::MIN_POSITIVE } else { pivot };
        count += usize::from(pivot < 0.0);
    }
    count
}

#[cfg(test)]
#[path = "singular_tests.rs"]
mod tests;
