//! The logistic function 1 / (1 + exp(-x)).
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::elementwise::{EXACT, MATH, math};
use crate::emit::Emit;

/// `sigmoid`.
#[derive(Debug)]
pub struct Sigmoid;

impl Function for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Sigmoid, 3.0);
    const WGSL: &'static str = "tslip_sigmoid($0)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT, MATH];

    fn f64(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        math::sigmoid(x)
    }

    fn vjp(graph: &mut Graph, _x: NodeId, y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let one = graph.scalar(1.0)?;
        let rest = graph.sub(one, y)?;
        let slope = graph.mul(y, rest)?;
        graph.mul(dy, slope).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::FUNCTION;
    crate::elementwise::unary::cases::<Sigmoid>(-4.0, 4.0).into_iter().map(|c| c.within(FUNCTION)).collect()
}
