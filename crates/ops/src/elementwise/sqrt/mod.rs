//! The square root.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::EXACT;
use crate::elementwise::unary::Function;
use crate::emit::Emit;

/// `sqrt`; NaN below 0. Its derivative at 0 is infinite, and 0 times it NaN: keep operands away from 0 where gradients
/// are wanted.
#[derive(Debug)]
pub struct Sqrt;

impl Function for Sqrt {
    const NAME: &'static str = "sqrt";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Sqrt, 0.5);
    const WGSL: &'static str = "tslip_sqrt($0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT];

    fn f64(x: f64) -> f64 {
        x.sqrt()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        x.sqrt()
    }

    fn vjp(graph: &mut Graph, _x: NodeId, y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let half = graph.scale(dy, 0.5)?;
        graph.div(half, y).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::unary::cases::<Sqrt>(0.2, 3.0)
}
