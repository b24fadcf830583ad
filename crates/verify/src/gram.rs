//! Gram matrices as computed, with what they may be off by.
use crate::outward::{UNIT, add, div, div_down, gamma, mul, sub_down};
use crate::symmetric::{Symmetric, dot};
use crate::work::{Stopped, Work};

/// A bound of a squared norm: `factor` times (the largest eigenvalue of `matrix`, plus `error`).
pub(crate) struct Bound {
    pub matrix: Symmetric,
    pub error: f64,
    pub factor: f64,
}

impl Bound {
    /// Whether it is shown to be at most `limit`.
    pub fn is_below(&self, limit: f64, work: &Work) -> Result<bool, Stopped> {
        if self.factor == 0.0 {
            return Ok(limit >= 0.0);
        }
        let limit = div_down(limit, self.factor);
        if self.error == 0.0 && self.matrix.is_zero() {
            return Ok(limit >= 0.0);
        }
        self.matrix.is_below(sub_down(limit, self.error), work)
    }

    /// The bound, about.
    pub fn estimate(&self, work: &Work) -> Result<f64, Stopped> {
        Ok(mul(add(self.matrix.estimate(work)?, self.error), self.factor))
    }
}

/// A Gram matrix as computed.
pub(crate) struct Gram {
    pub matrix: Symmetric,
    /// At least the norm of what it is off by.
    pub error: f64,
    /// At least the sum of squares of all numbers that it is made of.
    pub frobenius: f64,
}

/// The products of `rows` vectors of `length` float32 numbers with one another.
///
/// A product of two of them is exact in float64, as it has 48 bits and neither over- nor underflows. A sum of n of them is off by at most
/// gamma_n of the sum of their magnitudes, and so the matrix, in norm, by gamma_n ‖A‖_F² (Cauchy-Schwarz), of which the computed
/// trace is a part 1 - gamma_n at least.
pub(crate) fn gram(
    rows: usize,
    length: usize,
    entry: impl Fn(usize, usize) -> f32,
    work: &Work,
) -> Result<Gram, Stopped> {
    let vectors: Vec<Vec<f64>> = (0..rows).map(|i| (0..length).map(|k| f64::from(entry(i, k))).collect()).collect();
    let mut matrix = Symmetric::zeros(rows, rows);
    let mut trace = 0.0;
    for i in 0..rows {
        for j in i..rows {
            *matrix.at(i, j) = dot(&vectors[i], &vectors[j]);
        }
        trace = add(trace, *matrix.at(i, i));
        work.did(((rows - i) * length) as f64)?;
    }
    let lost = gamma(length, UNIT);
    let frobenius = div(trace, (1.0 - lost).next_down());
    Ok(Gram { matrix, error: mul(lost, frobenius), frobenius })
}
