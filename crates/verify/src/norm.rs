//! Proofs that the norm of a linear map is no larger than a number, and the search for such a number.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gram::{Bound, Gram, gram};
use crate::outward::{UNIT, add, gamma, mul, sqrt};
use crate::symmetric::Symmetric;
use crate::torus::Torus;
use crate::work::{Stopped, Work};

/// By which proof the norm of a layer's linear map is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The map has no weight: its bound follows from its options, or from a number that is read.
    Constant,
    /// The Gram matrix of a dense weight.
    Matrix,
    /// The kernel of a convolution as a matrix, times the root of the most windows that read one pixel.
    Kernel,
    /// The Gram matrix of a convolution on images of one size, borders and all.
    Operator,
    /// The symbols of a circular convolution of which it is a part.
    Torus,
    /// The correlations of filters, added up by their magnitudes.
    Correlations,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Constant => "constant",
            Method::Matrix => "matrix",
            Method::Kernel => "kernel",
            Method::Operator => "operator",
            Method::Torus => "torus",
            Method::Correlations => "correlations",
        })
    }
}

/// What the largest of all groups of a map is proved by.
pub(crate) struct Norm {
    pub parts: Vec<Part>,
}

/// A group of a linear map A, of which ‖A‖² is bounded.
pub(crate) enum Part {
    /// By one matrix.
    Gram(Bound),
    /// By the largest over all frequencies.
    Torus(Torus),
}

/// How far above an estimate a bound is looked for at first; of the squared norm, as the following.
const FIRST: f64 = 1e-9;
/// Between what was refuted and what is proved, where the search ends.
const WIDTH: f64 = 1e-8;
/// How often the distance to an estimate is enlarged: a bound that is far above is none.
const TRIES: usize = 12;

impl Part {
    /// The squared norm about.
    pub fn estimate(&self, work: &Work) -> Result<f64, Stopped> {
        match self {
            Part::Gram(bound) => bound.estimate(work),
            Part::Torus(torus) => torus.estimate(work),
        }
    }
}

impl Norm {
    /// Whether it is shown that the norm is at most `limit`.
    pub fn is_below(&self, limit: f64, work: &Work) -> Result<bool, Stopped> {
        self.is_square_below((limit * limit).next_down().max(0.0), work)
    }

    fn is_square_below(&self, limit: f64, work: &Work) -> Result<bool, Stopped> {
        for part in &self.parts {
            let below = match part {
                Part::Gram(bound) => bound.is_below(limit, work)?,
                Part::Torus(torus) => torus.is_below(limit, work)?,
            };
            if !below {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A number of which it is shown that the norm is no larger, hardly above it; infinite where none is found.
    pub fn upper(&self, work: &Work) -> Result<f64, Stopped> {
        let mut estimate = 0.0_f64;
        for part in &self.parts {
            estimate = estimate.max(part.estimate(work)?);
        }
        if estimate == 0.0 {
            // All that there may be is rounding, of which nothing is known but that it is 0 where all weights are.
            return Ok(if self.is_square_below(0.0, work)? { 0.0 } else { f64::INFINITY });
        }
        let at = |gap: f64| estimate * (1.0 + gap);
        let (mut refuted, mut gap, mut tries) = (0.0, FIRST, 0);
        while !self.is_square_below(at(gap), work)? {
            (refuted, gap, tries) = (gap, gap * 16.0, tries + 1);
            if tries == TRIES {
                return Ok(f64::INFINITY);
            }
        }
        while refuted > 0.0 && gap - refuted > WIDTH {
            let middle = (gap * refuted).sqrt();
            if self.is_square_below(at(middle), work)? {
                gap = middle;
            } else {
                refuted = middle;
            }
        }
        Ok(sqrt(at(gap)))
    }
}

/// The norm of a dense weight `[rows, columns]`.
pub(crate) fn dense(weight: &[f32], rows: usize, columns: usize, work: &Work) -> Result<Norm, Stopped> {
    let part = small_side(weight, rows, columns, 1.0, work)?;
    Ok(Norm { parts: vec![part] })
}

/// Operations of the Gram matrix of the smaller side of a matrix and its factorization.
pub(crate) fn dense_cost(rows: usize, columns: usize) -> f64 {
    let (small, large) = (rows.min(columns), rows.max(columns));
    (small as f64).powi(2) * large as f64 / 2.0 + Symmetric::cost(small, small)
}

/// `factor` times the squared norm of a matrix.
pub(crate) fn small_side(
    weight: &[f32],
    rows: usize,
    columns: usize,
    factor: f64,
    work: &Work,
) -> Result<Part, Stopped> {
    let Gram { matrix, error, .. } = if rows <= columns {
        gram(rows, columns, |i, k| weight[i * columns + k], work)?
    } else {
        gram(columns, rows, |i, k| weight[k * columns + i], work)?
    };
    Ok(Part::Gram(Bound { matrix, error, factor }))
}

/// At least the distances of the rows of a weight `[rows, columns]` from one another, and the norm of each at the end of its row:
/// `[rows, rows + 1]`. A difference of float32 numbers rounds once in float64, its square twice with that, the sum of n of them n times.
pub(crate) fn row_distances(weight: &[f32], rows: usize, columns: usize, work: &Work) -> Result<Vec<f64>, Stopped> {
    let row = |i: usize| &weight[i * columns..(i + 1) * columns];
    let factor = add(1.0, 2.0 * gamma(columns + 5, UNIT));
    let root = |squares: f64| sqrt(mul(squares, factor));
    let mut distances = vec![0.0; rows * (rows + 1)];
    for i in 0..rows {
        for j in 0..i {
            let squares = row(i).iter().zip(row(j)).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
            let apart = root(squares);
            (distances[i * (rows + 1) + j], distances[j * (rows + 1) + i]) = (apart, apart);
        }
        distances[i * (rows + 1) + rows] = root(row(i).iter().map(|&a| f64::from(a).powi(2)).sum());
        work.did((i * columns) as f64)?;
    }
    Ok(distances)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_ON: &dyn Fn(f64) -> bool = &|_| true;

    #[test]
    fn norms_of_known_matrices_are_found_from_above() {
        let work = Work::new(GO_ON);
        // Columns and rows that are orthogonal, of known lengths; a matrix of ones.
        let of = |weight: &[f32], rows, columns| dense(weight, rows, columns, &work).unwrap();
        for (weight, rows, columns, norm) in [
            (vec![3.0, 0.0, 0.0, 0.0, 4.0, 0.0], 2, 3, 4.0),
            (vec![1.0; 35], 7, 5, 35_f64.sqrt()),
            (vec![0.0; 6], 3, 2, 0.0),
            (vec![-1e-30, 1e-30], 1, 2, 2_f64.sqrt() * f64::from(1e-30_f32)),
        ] {
            let bound = of(&weight, rows, columns).upper(&work).unwrap();
            assert!(bound >= norm && bound <= norm * (1.0 + 1e-8), "{bound} {norm}");
            assert_eq!(of(&weight, rows, columns).is_below(bound * (1.0 + 1e-9), &work), Ok(true));
            assert_eq!(of(&weight, rows, columns).is_below(norm * (1.0 - 1e-8), &work), Ok(norm == 0.0));
        }
    }

    #[test]
    fn rows_are_no_nearer_than_they_are_said_to_be() {
        let distances = row_distances(&[3.0, 4.0, 0.0, 0.0, 3.0, 0.0], 3, 2, &Work::new(GO_ON)).unwrap();
        let exact = [0.0, 5.0, 4.0, 5.0, 5.0, 0.0, 3.0, 0.0, 4.0, 3.0, 0.0, 3.0];
        for (found, exact) in distances.iter().zip(exact) {
            assert!(*found >= exact && *found <= exact * (1.0 + 1e-14), "{found} {exact}");
        }
    }
}
