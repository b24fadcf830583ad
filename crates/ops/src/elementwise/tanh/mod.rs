//! The hyperbolic tangent.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::elementwise::{EXACT, MATH, math};
use crate::emit::Emit;

/// `tanh`.
#[derive(Debug)]
pub struct Tanh;

impl Function for Tanh {
    const NAME: &'static str = "tanh";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Tanh, 3.0);
    const WGSL: &'static str = "tslip_tanh($0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT, MATH];

    fn f64(x: f64) -> f64 {
        x.tanh()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        math::tanh(x)
    }

    fn vjp(graph: &mut Graph, _x: NodeId, y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let one = graph.scalar(1.0)?;
        let squared = graph.square(y)?;
        let slope = graph.sub(one, squared)?;
        graph.mul(dy, slope).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::FUNCTION;
    crate::elementwise::unary::cases::<Tanh>(-2.0, 2.0).into_iter().map(|c| c.within(FUNCTION)).collect()
}
