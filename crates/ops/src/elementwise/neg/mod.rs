//! -x.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::emit::Emit;

/// `neg`.
#[derive(Debug)]
pub struct Neg;

impl Function for Neg {
    const NAME: &'static str = "neg";
    const ACCURACY: Accuracy = Accuracy::Exact;
    const WGSL: &'static str = "-$0";

    fn f64(x: f64) -> f64 {
        -x
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        -x
    }

    fn vjp(graph: &mut Graph, _x: NodeId, _y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        graph.neg(dy).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::unary::cases::<Neg>(-2.0, 2.0)
}
