//! The inverse hyperbolic tangent.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::elementwise::{EXACT, MATH};
use crate::emit::Emit;

/// `atanh`; infinite at -1 and 1, NaN beyond.
#[derive(Debug)]
pub struct Atanh;

impl Function for Atanh {
    const NAME: &'static str = "atanh";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Atanh, 3.0);
    const WGSL: &'static str = "tslip_atanh($0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT, MATH];

    fn f64(x: f64) -> f64 {
        x.atanh()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        // Of the size: near -1 the standard library's cancels.
        let size = x.abs();
        (0.5 * (2.0 * size / (1.0 - size)).ln_1p()).copysign(x)
    }

    fn vjp(graph: &mut Graph, x: NodeId, _y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let one = graph.scalar(1.0)?;
        let squared = graph.square(x)?;
        let inverse = graph.sub(one, squared)?;
        graph.div(dy, inverse).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::FUNCTION;
    crate::elementwise::unary::cases::<Atanh>(-0.8, 0.8).into_iter().map(|c| c.within(FUNCTION)).collect()
}
