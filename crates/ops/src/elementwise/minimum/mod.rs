//! The smaller of a and b.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::binary::Arithmetic;
use crate::emit::Emit;

/// `minimum`, with broadcasting; f32 or i32. NaN if either is. Where a and b tie, each gets half of the gradient.
#[derive(Debug)]
pub struct Minimum;

impl Arithmetic for Minimum {
    const NAME: &'static str = "minimum";
    const ACCURACY: Accuracy = Accuracy::Exact;
    const I32: Option<fn(i32, i32) -> i32> = Some(i32::min);
    const WGSL: &'static str = "select($1, $0, $0 < $1 || is_nan($0))";
    const WGSL_I32: &'static str = "min($0, $1)";

    fn f64(a: f64, b: f64) -> f64 {
        if a < b || a.is_nan() { a } else { b }
    }

    #[inline(always)]
    fn f32(a: f32, b: f32) -> f32 {
        if a < b || a.is_nan() { a } else { b }
    }

    fn vjp(graph: &mut Graph, [a, b]: [NodeId; 2], _y: NodeId, dy: NodeId) -> Result<[NodeId; 2]> {
        let (zero, half) = (graph.scalar(0.0)?, graph.scale(dy, 0.5)?);
        let (low, high) = (graph.less(a, b)?, graph.less(b, a)?);
        let tie = graph.equal(a, b)?;
        let shared = graph.select(tie, half, dy)?;
        Ok([graph.select(high, zero, shared)?, graph.select(low, zero, shared)?])
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, integers, spaced};
    let none = serde_json::json!({});
    let ties = |shape: &[usize]| integers(shape, -2, 3).of(tslip_graph::DType::F32);
    let mut all: Vec<_> = super::binary::cases::<Minimum>(-2.0, 2.0).into_iter().map(|c| c.not_smooth()).collect();
    all.push(case("minimum", none.clone(), [ties(&[31]), ties(&[31])]).not_smooth());
    // No element is near the other operand.
    all.push(case("minimum", none, [spaced(&[4, 5]), crate::testing::case::values(&[], &[0.0])]));
    all
}
