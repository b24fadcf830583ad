//! The largest singular value and Björck orthonormalization: what makes a weight's Lipschitz constant known.
//!
//! Each is one op with a derivative of its own, which is one op; second derivatives are ordinary nodes.
pub mod bjorck;
pub mod bjorck_grad;
#[cfg(test)]
mod cases;
mod curvature;
mod gpu;
pub mod spectral_norm;
pub mod spectral_norm_grad;

use ndarray::{Array2, ArrayD, Ix2};
use tslip_graph::{DType, Error, Graph, Kind, NodeId, Op, Operand, Registry, Result, Samples, Spec};

use crate::support::{need, operands, parse};

#[cfg(test)]
pub(crate) use cases::cases;
#[cfg(test)]
mod tests;

/// Singular values of the reference that differ by no more than this share count as tied, as in the kernel.
const TIED: f64 = 1e-6;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("spectral_norm", parse::<spectral_norm::SpectralNorm>);
    ops.insert("spectral_norm_grad", parse::<spectral_norm_grad::SpectralNormGrad>);
    ops.insert("bjorck", parse::<bjorck::Bjorck>);
    ops.insert("bjorck_grad", parse::<bjorck_grad::BjorckGrad>);
    ops.fuse(spectral_norm::from_gradient);
    ops.fuse(bjorck::from_tape);
}

/// Refuses operands that are not `N` f32 matrices of one shape, with at least one entry.
fn check<const N: usize>(inputs: &[&Spec]) -> Result<Spec> {
    let matrices = operands::<N>(inputs)?;
    for matrix in matrices {
        need(matrix, DType::F32)?;
        if matrix.rank() != 2 || matrix.is_empty() || matrix.shape != matrices[0].shape {
            return Err(Error::shape("operands must be matrices of one shape with at least one row and one column"));
        }
    }
    Ok(matrices[0].clone())
}

/// A matrix is never cut along samples.
fn samples(_inputs: &[Operand<'_>]) -> Samples {
    Samples::Whole
}

/// The node that computes `op` from the same operands, if there is one.
fn sibling(graph: &Graph, op: &dyn Op, inputs: &[NodeId]) -> Option<NodeId> {
    graph.nodes().iter().position(|node| match &node.kind {
        Kind::Op(other) => node.inputs == inputs && other.name() == op.name() && other.attributes() == op.attributes(),
        _ => false,
    })
}

/// Floating-point operations of `count` products of a matrix with the Gram matrix of its small side. All counts of this
/// folder are nominal, those of the direct form with nothing shared: the kernels get by with fewer.
fn products(count: usize, shape: &[usize]) -> u64 {
    let (small, large) = (shape[0].min(shape[1]), shape[0].max(shape[1]));
    [2, count, small, small, large].into_iter().fold(1, |product, factor| product.saturating_mul(factor as u64))
}

/// W Wᵀ W in each iteration.
fn bjorck_products(iterations: usize, shape: &[usize]) -> u64 {
    products(2 * iterations, shape)
}

/// The value's products again, and the four of dY Wᵀ W + W dYᵀ W + W Wᵀ dY that are not the value's.
fn gradient_products(iterations: usize, shape: &[usize]) -> u64 {
    products(6 * iterations, shape)
}

/// The Gram matrix, and for the gradient a product with a matrix of its size.
fn norm_products(count: usize, shape: &[usize]) -> u64 {
    products(count, shape)
}

/// What planning puts in place of an op that was differentiated, or what only a derivative reads.
fn put_in_place(op: &str) -> Error {
    Error::internal(format!("{op} was to be differentiated, which is never differentiated itself"))
}

fn matrix(x: &ArrayD<f64>) -> Array2<f64> {
    x.clone().into_dimensionality::<Ix2>().unwrap_or_else(|e| unreachable!("rank 2 was inferred: {e}"))
}

/// The largest singular value of `w`, and its gradient: the mean of u vᵀ over the pairs of singular vectors that tie.
fn top_singular(w: &Array2<f64>) -> (f64, Array2<f64>) {
    let scale = w.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if w.iter().any(|v| !v.is_finite()) {
        return (f64::NAN, w.mapv(|_| f64::NAN));
    }
    if scale == 0.0 {
        return (0.0, w.clone());
    }
    if w.nrows() > w.ncols() {
        let (sigma, direction) = top_singular(&w.t().to_owned());
        return (sigma, direction.t().to_owned());
    }
    let a = w / scale;
    // Columns of aᵀ q have the singular values as lengths and point along the right singular vectors.
    let q = eigenvectors(a.dot(&a.t()));
    let images = a.t().dot(&q);
    let lengths: Vec<f64> = images.columns().into_iter().map(|v| v.dot(&v).sqrt()).collect();
    let sigma = lengths.iter().fold(0.0_f64, |m, &v| m.max(v));
    let tied: Vec<usize> = (0..lengths.len()).filter(|&i| lengths[i] >= sigma * (1.0 - TIED)).collect();
    let share = 1.0 / tied.len() as f64;
    let direction = Array2::from_shape_fn(w.dim(), |(r, c)| {
        tied.iter().map(|&i| share * q[[r, i]] * images[[c, i]] / lengths[i]).sum()
    });
    (sigma * scale, direction)
}

/// Orthonormal eigenvectors of a symmetric matrix, as columns, by cyclic Jacobi rotations.
pub(crate) fn eigenvectors(mut g: Array2<f64>) -> Array2<f64> {
    let m = g.nrows();
    let mut q = Array2::<f64>::eye(m);
    let negligible = 1e-17 * g.diag().sum();
    for _ in 0..60 {
        let mut rotated = false;
        for (i, j) in (0..m).flat_map(|i| (i + 1..m).map(move |j| (i, j))) {
            if g[[i, j]].abs() <= negligible {
                continue;
            }
            rotated = true;
            let theta = 0.5 * (2.0 * g[[i, j]]).atan2(g[[i, i]] - g[[j, j]]);
            let (s, c) = theta.sin_cos();
            for k in 0..m {
                for a in [&mut g, &mut q] {
                    let (x, y) = (a[[k, i]], a[[k, j]]);
                    (a[[k, i]], a[[k, j]]) = (c * x + s * y, c * y - s * x);
                }
            }
            for k in 0..m {
                let (x, y) = (g[[i, k]], g[[j, k]]);
                (g[[i, k]], g[[j, k]]) = (c * x + s * y, c * y - s * x);
            }
        }
        if !rotated {
            break;
        }
    }
    q
}
