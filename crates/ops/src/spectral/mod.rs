//! The largest singular value and Björck orthonormalization: what makes a weight's Lipschitz constant known.
//!
//! Each is one op with a derivative of its own; second derivatives are refused.
pub mod bjorck;
pub mod bjorck_grad;
pub mod spectral_norm;
pub mod spectral_norm_grad;

use ndarray::{Array2, ArrayD, Ix2};
use tslip_graph::{Code, DType, Error, Operand, Registry, Result, Samples, Spec};

use crate::support::parse;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("spectral_norm", parse::<spectral_norm::SpectralNorm>);
    ops.insert("spectral_norm_grad", parse::<spectral_norm_grad::SpectralNormGrad>);
    ops.insert("bjorck", parse::<bjorck::Bjorck>);
    ops.insert("bjorck_grad", parse::<bjorck_grad::BjorckGrad>);
}

/// Refuses operands that are not `count` f32 matrices of one shape, with at least one entry.
fn check(inputs: &[&Spec], count: usize) -> Result<()> {
    if inputs.len() != count {
        return Err(Error::argument(format!("{count} operands are needed, {} were given", inputs.len())));
    }
    if inputs.iter().any(|s| s.dtype != DType::F32) {
        return Err(Error::dtype("the operands must be f32"));
    }
    if inputs[0].rank() != 2 || inputs[0].is_empty() || inputs.iter().any(|s| s.shape != inputs[0].shape) {
        return Err(Error::shape("the operands must be matrices of one shape with at least one row and one column"));
    }
    Ok(())
}

/// A matrix is never cut along samples.
fn samples(_inputs: &[Operand<'_>]) -> Samples {
    Samples::Whole
}

fn no_second_derivative(op: &str) -> Error {
    Error::new(Code::Unsupported, format!("{op} cannot be differentiated: it is a derivative already"))
}

fn matrix(x: &ArrayD<f64>) -> Array2<f64> {
    x.clone().into_dimensionality::<Ix2>().unwrap_or_else(|e| unreachable!("rank 2 was inferred: {e}"))
}

/// The largest singular value of `w` with its singular vectors, by Jacobi rotations of the Gram matrix of the small side.
fn top_singular(w: &Array2<f64>) -> (f64, Vec<f64>, Vec<f64>) {
    let scale = w.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let (m, n) = w.dim();
    if scale == 0.0 {
        return (0.0, vec![0.0; m], vec![0.0; n]);
    }
    if m > n {
        let (s, u, v) = top_singular(&w.t().to_owned());
        return (s, v, u);
    }
    let a = w / scale;
    let mut g = a.dot(&a.t());
    let mut q = Array2::<f64>::eye(m);
    for _ in 0..60 {
        for i in 0..m {
            for j in i + 1..m {
                if g[[i, j]].abs() <= 1e-300 {
                    continue;
                }
                let theta = 0.5 * (2.0 * g[[i, j]]).atan2(g[[i, i]] - g[[j, j]]);
                let (s, c) = theta.sin_cos();
                for k in 0..m {
                    let (x, y) = (g[[k, i]], g[[k, j]]);
                    (g[[k, i]], g[[k, j]]) = (c * x + s * y, c * y - s * x);
                    let (x, y) = (q[[k, i]], q[[k, j]]);
                    (q[[k, i]], q[[k, j]]) = (c * x + s * y, c * y - s * x);
                }
                for k in 0..m {
                    let (x, y) = (g[[i, k]], g[[j, k]]);
                    (g[[i, k]], g[[j, k]]) = (c * x + s * y, c * y - s * x);
                }
            }
        }
    }
    let top = (0..m).max_by(|&i, &j| g[[i, i]].total_cmp(&g[[j, j]])).unwrap_or(0);
    let u = q.column(top).to_owned();
    let v = a.t().dot(&u);
    let sigma = v.dot(&v).sqrt();
    (sigma * scale, u.to_vec(), v.iter().map(|x| x / sigma).collect())
}
