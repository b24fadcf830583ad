//! The natural logarithm.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::elementwise::{EXACT, MATH, math};
use crate::emit::Emit;

/// `log`; NaN below 0, -inf at 0.
#[derive(Debug)]
pub struct Log;

impl Function for Log {
    const NAME: &'static str = "log";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Log, 2.0);
    const WGSL: &'static str = "tslip_log($0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT, MATH];

    fn f64(x: f64) -> f64 {
        x.ln()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        math::log(x)
    }

    fn vjp(graph: &mut Graph, x: NodeId, _y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        graph.div(dy, x).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::FUNCTION;
    crate::elementwise::unary::cases::<Log>(0.2, 3.0).into_iter().map(|c| c.within(FUNCTION)).collect()
}
