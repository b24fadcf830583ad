//! a / b.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::EXACT;
use crate::elementwise::binary::Arithmetic;
use crate::emit::Emit;

/// `div`: the quotient of floats, with broadcasting.
#[derive(Debug)]
pub struct Div;

impl Arithmetic for Div {
    const NAME: &'static str = "div";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Division, 0.5);
    const WGSL: &'static str = "tslip_divide($0, $1)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT];

    fn f64(a: f64, b: f64) -> f64 {
        a / b
    }

    #[inline(always)]
    fn f32(a: f32, b: f32) -> f32 {
        a / b
    }

    fn vjp(graph: &mut Graph, [_, b]: [NodeId; 2], y: NodeId, dy: NodeId) -> Result<[NodeId; 2]> {
        let da = graph.div(dy, b)?;
        let product = graph.mul(da, y)?;
        Ok([da, graph.neg(product)?])
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::binary::cases::<Div>(0.5, 2.0)
}
