//! Products of matrices, one for each place of the leading axes.
use ndarray::{ArrayD, ArrayView2, ArrayViewD, Axis, Dimension, Ix2};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::gemm::Gemm;
use tslip_cpu::kernels::parallel::gemm_parallel;
use tslip_cpu::simd::Level;
use tslip_graph::gpu::{Argument, Form};
use tslip_graph::spec::broadcast;
use tslip_graph::{Accuracy, Arranged, Call, DType, Error, Graph, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::emit::Emit;
use crate::linear::product::Product;
use crate::shape::strided::transpose;
use crate::support::{elementwise_samples, need, operands};

#[cfg(test)]
mod cases;
#[cfg(test)]
pub(crate) use cases::cases;

/// `matmul`: a `[..., m, k]` and b `[..., k, n]` (f32) to `[..., m, n]`; leading axes broadcast.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Matmul {
    /// a comes as `[..., k, m]`.
    pub transpose_a: bool,
    /// b comes as `[..., n, k]`.
    pub transpose_b: bool,
}

/// Extents of one product.
#[derive(Clone, Copy, Debug)]
struct Extents {
    m: usize,
    k: usize,
    n: usize,
}

impl Matmul {
    /// Extents for operands of these shapes, and how many terms b offers for each sum.
    fn extents(&self, a: &[usize], b: &[usize]) -> (Extents, usize) {
        let last = |s: &[usize], swapped: bool| {
            let (rows, columns) = (s[s.len() - 2], s[s.len() - 1]);
            if swapped { (columns, rows) } else { (rows, columns) }
        };
        let ((m, k), (terms, n)) = (last(a, self.transpose_a), last(b, self.transpose_b));
        (Extents { m, k, n }, terms)
    }
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [a, b] = operands(inputs)?;
        for operand in [a, b] {
            need(operand, DType::F32)?;
            if operand.rank() < 2 {
                return Err(Error::shape(format!(
                    "shape {:?} is no matrix: both operands need 2 axes or more; reshape a vector to a row or column",
                    operand.shape
                )));
            }
        }
        let (Extents { m, k, n }, terms) = self.extents(&a.shape, &b.shape);
        if k != terms {
            let turned = |t: bool| if t { " transposed" } else { "" };
            return Err(Error::shape(format!(
                "the product of {:?}{} and {:?}{} sums over {k} columns of the one and {terms} rows of the other: both \
                 must be equal",
                a.shape,
                turned(self.transpose_a),
                b.shape,
                turned(self.transpose_b)
            )));
        }
        let mut shape = broadcast(lead(&a.shape), lead(&b.shape))?;
        shape.extend([m, n]);
        Ok(Spec::f32(shape))
    }

    /// For C = A B: dA = dC Bᵀ and dB = Aᵀ dC, each written so that nothing but a weight is ever transposed, and summed
    /// over leading axes along which an operand was repeated.
    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let Vjp { graph, inputs, cotangent: mut dc, .. } = v;
        let (mut a, b) = (inputs[0], inputs[1]);
        let shapes = [graph.shape(a).to_vec(), graph.shape(b).to_vec()];
        if shapes[1].len() == 2 && shapes[0].len() > 2 && !self.transpose_a {
            // One matrix b for all rows of a: the rows form one tall matrix, and dB is one sum over all of them.
            let (Extents { k, n, .. }, _) = self.extents(&shapes[0], &shapes[1]);
            let rows = shapes[0][..shapes[0].len() - 1].iter().product();
            a = graph.reshape(a, &[rows, k])?;
            dc = graph.reshape(dc, &[rows, n])?;
        }
        let (da, db) = match (self.transpose_a, self.transpose_b) {
            (false, false) => (product(graph, dc, b, false, true)?, product(graph, a, dc, true, false)?),
            (false, true) => (product(graph, dc, b, false, false)?, product(graph, dc, a, true, false)?),
            (true, false) => (product(graph, b, dc, false, true)?, product(graph, a, dc, false, false)?),
            (true, true) => (product(graph, b, dc, true, true)?, product(graph, dc, a, true, true)?),
        };
        let da = if a == inputs[0] { graph.sum_to(da, &shapes[0])? } else { graph.reshape(da, &shapes[0])? };
        Ok(vec![Some(da), Some(graph.sum_to(db, &shapes[1])?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let mut c = ArrayD::zeros(output.shape.clone());
        for at in ndarray::indices(lead(&output.shape)) {
            let at = at.slice();
            let product = matrix(inputs[0], at, self.transpose_a).dot(&matrix(inputs[1], at, self.transpose_b));
            let place = at.iter().fold(c.view_mut(), |c, &i| c.index_axis_move(Axis(0), i));
            place
                .into_dimensionality::<Ix2>()
                .unwrap_or_else(|e| unreachable!("two axes are left: {e}"))
                .assign(&product);
        }
        c
    }

    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples {
        if output.rank() > 2 {
            return elementwise_samples(inputs, output);
        }
        match (self.transpose_a, self.transpose_b, inputs[1].batched) {
            (false, _, false) => Samples::PerSample { sliced: vec![true, false] },
            (true, false, _) => Samples::Sum { sliced: vec![true, true] },
            _ => Samples::Whole,
        }
    }

    /// The kernel reads rows of b: a weight `[n, k]` is transposed once and kept as long as it does not change.
    fn arranged(&self, inputs: &[&Spec]) -> Option<Arranged> {
        if !self.transpose_b {
            return None;
        }
        let rank = inputs[1].rank();
        let swapped = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        let op = Arc::new(Matmul { transpose_b: false, ..*self });
        Some(Arranged { op, inputs: vec![None, Some(swapped)], output: None })
    }

    fn accumulates(&self) -> bool {
        self.transpose_a
    }

    fn parallel(&self) -> bool {
        true
    }

    /// One transposed matrix of b.
    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        let (Extents { k, n, .. }, _) = self.extents(inputs[0], inputs[1]);
        if self.transpose_b { k * n } else { 0 }
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let (a, b) = (call.inputs[0], call.inputs[1]);
        let (Extents { mut m, k, n }, _) = self.extents(a.shape, b.shape);
        let mut places = lead(call.output.shape);
        if !self.transpose_a && lead(b.shape).iter().all(|&n| n == 1) {
            // One matrix b for all rows of a: one product of a tall matrix.
            m *= places.iter().product::<usize>();
            places = &[];
        }
        let mut transposed = None;
        for at in 0..places.iter().product() {
            let [from_a, from_b] =
                if places.is_empty() { [0, 0] } else { [a.shape, b.shape].map(|s| place(at, places, lead(s))) };
            let mut rows = &b.f32()[from_b * k * n..][..k * n];
            if self.transpose_b {
                if transposed != Some(from_b) {
                    transpose(n, k, rows, k, call.scratch, n);
                    transposed = Some(from_b);
                }
                rows = &call.scratch[..k * n];
            }
            let product = Gemm {
                m,
                n,
                k,
                a: &a.f32()[from_a * m * k..][..m * k],
                a_strides: if self.transpose_a { (1, m) } else { (k, 1) },
                b: rows,
                b_row_stride: n,
                c: &mut call.output.f32()[at * m * n..][..m * n],
                c_row_stride: n,
                accumulate: self.transpose_a,
            };
            gemm_parallel(Level::current(), product);
        }
    }

    /// A multiplication and an addition for each term.
    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        let (a, b) = (&inputs[0].shape, &inputs[1].shape);
        let (Extents { m, k, n }, _) = self.extents(a, b);
        // Words from one row (of A) or column (of B), and from one term, to the next.
        let steps = |plain: bool, columns: usize| if plain { [columns, 1] } else { [1, columns] };
        let ([a_row, a_term], [b_column, b_term]) =
            (steps(!self.transpose_a, a[a.len() - 1]), steps(self.transpose_b, b[b.len() - 1]));
        let mut words = vec![Argument::Input(0), Argument::size(a_row), Argument::size(a_term)];
        words.extend([Argument::Input(1), Argument::size(b_column), Argument::size(b_term)]);
        let leading = lead(&output.shape);
        words.push(Argument::size(leading.len()));
        let jumps = |shape: &[usize], axis: usize| {
            let own = lead(shape);
            let missing = leading.len() - own.len();
            let stride = |axis: usize| shape[axis + 1..].iter().product();
            if axis < missing || own[axis - missing] == 1 { 0 } else { stride(axis - missing) }
        };
        for (axis, &extent) in leading.iter().enumerate() {
            words.extend([extent, jumps(a, axis), jumps(b, axis)].map(Argument::size));
        }
        let product = Product {
            name: "product",
            operands: include_str!("operands.wgsl"),
            a_rows_together: self.transpose_a,
            b_columns_together: !self.transpose_b,
            batches: leading.iter().product(),
            rows: m,
            columns: n,
            terms: k,
            strides: [m * n, n],
            bias: None,
            words,
            constants: Vec::new(),
        };
        Ok(product.form())
    }

    fn flops(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        let (Extents { k, .. }, _) = self.extents(inputs[0], inputs[1]);
        2 * k as u64 * output.iter().product::<usize>() as u64
    }
}

/// The axes before the last two.
fn lead(shape: &[usize]) -> &[usize] {
    &shape[..shape.len() - 2]
}

/// Which matrix of an operand with leading axes `own` belongs to place `at` of the result's leading axes.
fn place(mut at: usize, result: &[usize], own: &[usize]) -> usize {
    let (mut which, mut stride) = (0, 1);
    for (&extent, &n) in result.iter().rev().zip(own.iter().rev()) {
        if n != 1 {
            which += at % extent * stride;
        }
        at /= extent;
        stride *= n;
    }
    which
}

fn matrix<'a>(x: &'a ArrayD<f64>, at: &[usize], transposed: bool) -> ArrayView2<'a, f64> {
    let own = x.ndim() - 2;
    let pick = |x: ArrayViewD<'a, f64>, &i: &usize| {
        let i = if x.shape()[0] == 1 { 0 } else { i };
        x.index_axis_move(Axis(0), i)
    };
    let view = at[at.len() - own..].iter().fold(x.view(), pick);
    let view = view.into_dimensionality::<Ix2>().unwrap_or_else(|e| unreachable!("two axes are left: {e}"));
    if transposed { view.reversed_axes() } else { view }
}

fn product(graph: &mut Graph, a: NodeId, b: NodeId, transpose_a: bool, transpose_b: bool) -> Result<NodeId> {
    graph.emit(Matmul { transpose_a, transpose_b }, &[a, b])
}
