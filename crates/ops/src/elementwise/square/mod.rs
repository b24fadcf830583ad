//! x².
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::emit::Emit;

/// `square`.
#[derive(Debug)]
pub struct Square;

impl Function for Square {
    const NAME: &'static str = "square";
    const ACCURACY: Accuracy = Accuracy::Summed;
    const WGSL: &'static str = "$0 * $0";

    fn f64(x: f64) -> f64 {
        x * x
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        x * x
    }

    fn vjp(graph: &mut Graph, x: NodeId, _y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let twice = graph.scale(x, 2.0)?;
        graph.mul(dy, twice).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::unary::cases::<Square>(-2.0, 2.0)
}
