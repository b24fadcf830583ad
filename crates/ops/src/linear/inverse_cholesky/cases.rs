//! One entry, blocks of rows that are whole and not, batches, matrices that are not symmetric, and those that are not positive definite.
use serde_json::json;

use crate::testing::case::{Case, Input, Numbers, SUMMED, case, values};

/// Orders; a CPU eliminates 32 rows at a time, in panels of 8 columns, and a GPU 64.
const SMALL: [usize; 4] = [1, 2, 5, 35];
const LARGE: [usize; 5] = [32, 64, 65, 100, 200];

pub(crate) fn cases() -> Vec<Case> {
    let of = |matrices: Input| case("inverse_cholesky", json!({}), [matrices]).within(SUMMED);
    let mut all: Vec<Case> = SMALL.into_iter().map(|n| of(definite(&[n, n]))).collect();
    all.push(of(definite(&[2, 4, 4])));
    all.push(of(definite(&[2, 3, 2, 2])));
    all.extend(LARGE.into_iter().map(|n| of(definite(&[n, n])).not_smooth()));
    all.push(of(definite(&[3, 70, 70])).not_smooth());
    all.extend([0.0, -1.0].map(|pivot| of(indefinite(3, 1, pivot)).not_smooth()));
    all.extend([(70, 40), (100, 99), (130, 70)].map(|(n, at)| of(indefinite(n, at, -0.5)).not_smooth()));
    all.push(of(values(&[2, 2], &[f64::NAN, 0.0, 0.0, 1.0])).not_smooth());
    all.push(of(values(&[2, 2], &[1e-30, 0.0, 0.0, 1e30])).not_smooth());
    all
}

/// Matrices whose symmetric parts are Gram matrices of random ones, and half the identity.
fn definite(shape: &[usize]) -> Input {
    let n = shape[shape.len() - 1];
    let mut numbers = Numbers(n as u64);
    let matrices = shape[..shape.len() - 2].iter().product::<usize>();
    let all: Vec<f64> = (0..matrices).flat_map(|_| matrix(n, &mut numbers)).collect();
    values(shape, &all)
}

fn matrix(n: usize, numbers: &mut Numbers) -> Vec<f64> {
    let factor: Vec<f64> = (0..n * n).map(|_| numbers.normal() / (n as f64).sqrt()).collect();
    let mut all = Vec::with_capacity(n * n);
    for i in 0..n {
        for j in 0..n {
            let products = (0..n).map(|k| factor[i * n + k] * factor[j * n + k]);
            let skew = if i > j { 0.3 } else { -0.3 };
            all.push(products.sum::<f64>() + if i == j { 0.5 } else { skew });
        }
    }
    all
}

/// A matrix of which all rows before one are those of a definite matrix; the diagonal of that is given.
fn indefinite(n: usize, at: usize, diagonal: f64) -> Input {
    let mut all = matrix(n, &mut Numbers(9));
    all[at * (n + 1)] = diagonal;
    values(&[n, n], &all)
}
