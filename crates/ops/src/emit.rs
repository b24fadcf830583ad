//! Shorthand for VJPs: ops as methods of the graph, so that a derivative reads like its formula.
// Circle: derivatives emit ops, and ops have derivatives.
use tslip_graph::{DType, Graph, NodeId, Result};

use crate::create::full::Full;
use crate::elementwise::add::Add;
use crate::elementwise::and::And;
use crate::elementwise::binary::Binary;
use crate::elementwise::compare::Compare;
use crate::elementwise::div::Div;
use crate::elementwise::equal::Equal;
use crate::elementwise::less::Less;
use crate::elementwise::less_equal::LessEqual;
use crate::elementwise::log::Log;
use crate::elementwise::logic::Connective;
use crate::elementwise::mul::Mul;
use crate::elementwise::neg::Neg;
use crate::elementwise::pow::Pow;
use crate::elementwise::select::Where;
use crate::elementwise::sign::Sign;
use crate::elementwise::square::Square;
use crate::elementwise::sub::Sub;
use crate::elementwise::unary::Unary;
use crate::linear::matmul::Matmul;
use crate::reduce::axes::Axes;
use crate::reduce::sum::Sum;
use crate::shape::broadcast_to::BroadcastTo;
use crate::shape::permute::Permute;
use crate::shape::reshape::Reshape;

/// Ops as methods of the graph.
#[allow(missing_docs)]
pub trait Emit {
    fn neg(&mut self, x: NodeId) -> Result<NodeId>;
    fn sign(&mut self, x: NodeId) -> Result<NodeId>;
    fn square(&mut self, x: NodeId) -> Result<NodeId>;
    fn log(&mut self, x: NodeId) -> Result<NodeId>;
    fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn pow(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn equal(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn less(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn less_equal(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn and(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    /// A B.
    fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    /// A Bᵀ.
    fn matmul_transposed(&mut self, a: NodeId, b: NodeId) -> Result<NodeId>;
    /// A constant that broadcasts against everything.
    fn scalar(&mut self, value: f64) -> Result<NodeId>;
    fn scale(&mut self, x: NodeId, factor: f64) -> Result<NodeId>;
    fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn reshape(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId>;
    fn permute(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId>;
    fn broadcast_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId>;
    fn sum(&mut self, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId>;
    /// Sums over the axes along which `shape` was broadcast: the VJP of broadcasting.
    fn sum_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId>;
}

impl Emit for Graph {
    fn neg(&mut self, x: NodeId) -> Result<NodeId> {
        self.emit(Unary::<Neg>::OP, &[x])
    }

    fn sign(&mut self, x: NodeId) -> Result<NodeId> {
        self.emit(Unary::<Sign>::OP, &[x])
    }

    fn square(&mut self, x: NodeId) -> Result<NodeId> {
        self.emit(Unary::<Square>::OP, &[x])
    }

    fn log(&mut self, x: NodeId) -> Result<NodeId> {
        self.emit(Unary::<Log>::OP, &[x])
    }

    fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Binary::<Add>::OP, &[a, b])
    }

    fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Binary::<Sub>::OP, &[a, b])
    }

    fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Binary::<Mul>::OP, &[a, b])
    }

    fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Binary::<Div>::OP, &[a, b])
    }

    fn pow(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Binary::<Pow>::OP, &[a, b])
    }

    fn equal(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Compare::<Equal>::OP, &[a, b])
    }

    fn less(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Compare::<Less>::OP, &[a, b])
    }

    fn less_equal(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Compare::<LessEqual>::OP, &[a, b])
    }

    fn and(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Connective::<And>::OP, &[a, b])
    }

    fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Matmul { transpose_a: false, transpose_b: false }, &[a, b])
    }

    fn matmul_transposed(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Matmul { transpose_a: false, transpose_b: true }, &[a, b])
    }

    fn scalar(&mut self, value: f64) -> Result<NodeId> {
        self.emit(Full { shape: Vec::new(), value, dtype: DType::F32 }, &[])
    }

    fn scale(&mut self, x: NodeId, factor: f64) -> Result<NodeId> {
        let factor = self.scalar(factor)?;
        self.mul(x, factor)
    }

    fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(Where {}, &[condition, a, b])
    }

    fn reshape(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.emit(Reshape { shape: shape.to_vec() }, &[x])
    }

    fn permute(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        if axes.iter().enumerate().all(|(i, &a)| i == a) {
            return Ok(x);
        }
        self.emit(Permute { axes: axes.to_vec() }, &[x])
    }

    fn broadcast_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.emit(BroadcastTo { shape: shape.to_vec() }, &[x])
    }

    fn sum(&mut self, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId> {
        self.emit(Sum(Axes { axes: axes.to_vec(), keepdims }), &[x])
    }

    fn sum_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId> {
        let from = self.shape(x).to_vec();
        let lead = from.len() - shape.len();
        let axes: Vec<usize> =
            (0..from.len()).filter(|&i| i < lead || (shape[i - lead] == 1 && from[i] != 1)).collect();
        if axes.is_empty() {
            return Ok(x);
        }
        let summed = self.sum(x, &axes, true)?;
        self.reshape(summed, shape)
    }
}
