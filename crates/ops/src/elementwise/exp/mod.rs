//! The exponential function.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::elementwise::{EXACT, MATH, math};
use crate::emit::Emit;

/// `exp`.
#[derive(Debug)]
pub struct Exp;

impl Function for Exp {
    const NAME: &'static str = "exp";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Exp, 1.5);
    const WGSL: &'static str = "tslip_exp($0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT, MATH];

    fn f64(x: f64) -> f64 {
        x.exp()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        math::exp(x)
    }

    fn vjp(graph: &mut Graph, _x: NodeId, y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        graph.mul(dy, y).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::FUNCTION;
    crate::elementwise::unary::cases::<Exp>(-3.0, 3.0).into_iter().map(|c| c.within(FUNCTION)).collect()
}
