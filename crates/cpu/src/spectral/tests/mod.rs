//! Björck and the spectral norm against the direct forms in float64, on matrices of known singular values.
mod bjorck;
mod norm;
mod polar;

use crate::simd::Level;

/// A float64 matrix, row-major: the slow and obvious reference.
#[derive(Clone, Debug)]
struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f64>,
}

impl Matrix {
    fn new(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        Matrix { rows, cols, data: (0..rows * cols).map(|at| entry(at / cols, at % cols)).collect() }
    }

    fn of(w: &[f32], rows: usize, cols: usize) -> Self {
        Matrix { rows, cols, data: w.iter().map(|&x| f64::from(x)).collect() }
    }

    fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }

    fn t(&self) -> Self {
        Matrix::new(self.cols, self.rows, |i, j| self.at(j, i))
    }

    fn dot(&self, b: &Matrix) -> Self {
        let mut out = Matrix::new(self.rows, b.cols, |_, _| 0.0);
        for (row, to) in self.data.chunks_exact(self.cols).zip(out.data.chunks_exact_mut(b.cols)) {
            for (x, b) in row.iter().zip(b.data.chunks_exact(b.cols)) {
                to.iter_mut().zip(b).for_each(|(to, b)| *to += x * b);
            }
        }
        out
    }

    /// factor self + other_factor other.
    fn mix(&self, factor: f64, other_factor: f64, other: &Matrix) -> Self {
        Matrix::new(self.rows, self.cols, |i, j| factor * self.at(i, j) + other_factor * other.at(i, j))
    }

    fn norm(&self) -> f64 {
        self.data.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    /// ‖self - other‖ / ‖other‖; 0 where both are zero.
    fn distance(&self, other: &Matrix) -> f64 {
        let difference = self.mix(1.0, -1.0, other).norm();
        if difference == 0.0 { 0.0 } else { difference / other.norm() }
    }
}

/// Normal-like numbers: sums of uniform ones from a linear congruential generator (Numerical Recipes).
struct Random(u32);

impl Random {
    fn next(&mut self) -> f64 {
        (0..6)
            .map(|_| {
                self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
                f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0
            })
            .sum()
    }

    fn matrix(&mut self, rows: usize, cols: usize) -> Matrix {
        let data = (0..rows * cols).map(|_| self.next()).collect();
        Matrix { rows, cols, data }
    }

    /// Orthonormal columns (`rows >= cols`): Gram and Schmidt, twice.
    fn orthonormal(&mut self, rows: usize, cols: usize) -> Matrix {
        let mut q = self.matrix(cols, rows);
        for _ in 0..2 {
            for i in 0..cols {
                let (done, rest) = q.data.split_at_mut(i * rows);
                let row = &mut rest[..rows];
                for before in done.chunks_exact(rows) {
                    let overlap: f64 = before.iter().zip(row.iter()).map(|(a, b)| a * b).sum();
                    row.iter_mut().zip(before).for_each(|(x, b)| *x -= overlap * b);
                }
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }
        q.t()
    }

    /// U diag(s) Vᵀ of shape `[m, n]` with random U and V, and those two.
    fn with_singular_values(&mut self, m: usize, n: usize, s: &[f64]) -> (Matrix, Matrix, Matrix) {
        let p = m.min(n);
        let (u, v) = (self.orthonormal(m, p), self.orthonormal(n, p));
        let scaled = Matrix::new(m, p, |i, j| u.at(i, j) * s[j]);
        (scaled.dot(&v.t()), u, v)
    }
}

/// `p` values from 1 to 1 / condition, evenly in the logarithm.
fn spectrum(p: usize, condition: f64) -> Vec<f64> {
    (0..p).map(|i| condition.powf(-(i as f64) / (p.max(2) - 1) as f64)).collect()
}

/// Scratch that holds NaN: nothing may depend on what it held before.
fn scratch(length: usize) -> Vec<f32> {
    vec![f32::NAN; length]
}

/// Runs `test` at every instruction set of this machine.
fn at_every_level(test: impl Fn(Level)) {
    Level::available().into_iter().for_each(test);
}
