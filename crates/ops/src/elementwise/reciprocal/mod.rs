//! 1 / x.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::EXACT;
use crate::elementwise::unary::Function;
use crate::emit::Emit;

/// `reciprocal`; infinite at 0.
#[derive(Debug)]
pub struct Reciprocal;

impl Function for Reciprocal {
    const NAME: &'static str = "reciprocal";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Division, 0.5);
    const WGSL: &'static str = "tslip_divide(1.0, $0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT];

    fn f64(x: f64) -> f64 {
        1.0 / x
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        1.0 / x
    }

    fn vjp(graph: &mut Graph, _x: NodeId, y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let squared = graph.square(y)?;
        let slope = graph.neg(squared)?;
        graph.mul(dy, slope).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::unary::cases::<Reciprocal>(0.4, 3.0)
}
