//! The inverse of the Cholesky factor of a symmetric positive definite matrix.
//!
//! On every device block after block of rows is eliminated from [A | I]. Let T hold A, and for a block b of rows: D = the inverse of the
//! factor of T_bb, and R = D [T_b,before | I | T_after,bᵀ], of which the columns up to the block are rows b of X, and those after it L_after,bᵀ.
//! Then rows b of T become these rows of X, and of what is after them T - Rᵀ R remains, with 0 for T_after,b. So A, L and X take the place
//! of one matrix, and all but the blocks D are products.
use ndarray::{Array2, ArrayD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, DType, Error, Graph, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::create::iota::Iota;
use crate::emit::Emit;
use crate::linear::matmul::Matmul;
use crate::support::{need, operands};

#[cfg(test)]
mod cases;
mod cpu;
mod gpu;

#[cfg(test)]
pub(crate) use cases::cases;

/// `inverse_cholesky`: a `[..., n, n]` (f32) to X = L^-1 `[..., n, n]`, lower triangular, for the factor L with a positive diagonal of its
/// symmetric part, (A + Aᵀ) / 2 = L Lᵀ. Of a matrix that is not positive definite, rows of X are NaN on and below the diagonal from the
/// first pivot on that is not positive and finite (and others too where it has entries that are no finite numbers): a step of training
/// with such a result is not taken.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseCholesky {}

impl Op for InverseCholesky {
    fn name(&self) -> &'static str {
        "inverse_cholesky"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [a] = operands(inputs)?;
        need(a, DType::F32)?;
        match a.shape[..] {
            [.., rows, columns] if rows == columns && !a.is_empty() => Ok(a.clone()),
            _ => Err(Error::shape(format!(
                "the operand must be a square matrix [..., n, n] with at least one row; given shape {:?}",
                a.shape
            ))),
        }
    }

    /// From dX = -Φ(X dA Xᵀ) X, Φ keeping what is below the diagonal and half of it (Murray 2016, Differentiation of the Cholesky
    /// decomposition): dA = -1/2 Xᵀ S X, with the symmetric S that has the lower triangle of dX Xᵀ.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let (graph, x) = (v.graph, v.output);
        let product = graph.matmul_transposed(v.cotangent, x)?;
        let symmetric = mirrored(graph, product)?;
        let left = graph.emit(Matmul { transpose_a: true, transpose_b: false }, &[x, symmetric])?;
        let both = graph.matmul(left, x)?;
        Ok(vec![Some(graph.scale(both, -0.5)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let n = output.shape[output.rank() - 1];
        let entries: Vec<f64> = inputs[0].iter().copied().collect();
        let inverses = entries.chunks(n * n).flat_map(|a| {
            let a = Array2::from_shape_fn((n, n), |(i, j)| (a[i * n + j] + a[j * n + i]) / 2.0);
            inverse(&factor(&a))
        });
        ArrayD::from_shape_vec(output.shape.clone(), inverses.collect())
            .unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, _inputs: &[Operand<'_>], output: &Spec) -> Samples {
        if output.rank() > 2 { Samples::PerSample { sliced: vec![true] } } else { Samples::Whole }
    }

    fn scratch(&self, _inputs: &[&[usize]], output: &[usize]) -> usize {
        cpu::scratch(output[output.len() - 1])
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let n = call.output.shape[call.output.shape.len() - 1];
        let matrices = call.inputs[0].f32().chunks(n * n).zip(call.output.f32().chunks_mut(n * n));
        matrices.for_each(|(a, x)| cpu::inverse_cholesky(a, n, x, call.scratch));
    }

    fn gpu(&self, _inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(gpu::form(&output.shape))
    }

    /// A third of n³ multiplications and additions each for the factor and for its inverse.
    fn flops(&self, _inputs: &[&[usize]], output: &[usize]) -> u64 {
        4 * output.iter().product::<usize>() as u64 * output[output.len() - 1] as u64 / 3
    }
}

/// The symmetric matrices with the lower triangles of these.
fn mirrored(graph: &mut Graph, matrices: NodeId) -> Result<NodeId> {
    let shape = graph.shape(matrices);
    let (rank, n) = (shape.len(), shape[shape.len() - 1]);
    let swapped: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    let turned = graph.permute(matrices, &swapped)?;
    let position = |axis: usize| Iota { shape: vec![n, n], axis, dtype: DType::I32 };
    let [row, column] = [graph.emit(position(0), &[])?, graph.emit(position(1), &[])?];
    let lower = graph.less_equal(column, row)?;
    graph.select(lower, matrices, turned)
}

/// L with L Lᵀ = A, row after row.
fn factor(a: &Array2<f64>) -> Array2<f64> {
    let mut l = Array2::<f64>::zeros(a.dim());
    for i in 0..a.nrows() {
        for j in 0..=i {
            let rest = a[[i, j]] - (0..j).map(|k| l[[i, k]] * l[[j, k]]).sum::<f64>();
            l[[i, j]] = if i == j { root(rest) } else { rest / l[[j, j]] };
        }
    }
    l
}

/// The inverse of a lower triangular matrix, by substitution.
fn inverse(l: &Array2<f64>) -> Array2<f64> {
    let mut x = Array2::<f64>::zeros(l.dim());
    for i in 0..l.nrows() {
        for j in 0..=i {
            let unit = if i == j { 1.0 } else { 0.0 };
            x[[i, j]] = (unit - (j..i).map(|k| l[[i, k]] * x[[k, j]]).sum::<f64>()) / l[[i, i]];
        }
    }
    x
}

/// The root of a pivot; NaN where it is not positive and finite.
fn root(pivot: f64) -> f64 {
    if pivot > 0.0 && pivot.is_finite() { pivot.sqrt() } else { f64::NAN }
}
