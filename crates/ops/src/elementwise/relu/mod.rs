//! max(x, 0).
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::emit::Emit;

/// `relu`; NaN stays NaN. Its derivative at 0 is taken as 0.
#[derive(Debug)]
pub struct Relu;

impl Function for Relu {
    const NAME: &'static str = "relu";
    const ACCURACY: Accuracy = Accuracy::Exact;
    const WGSL: &'static str = "select($0, 0.0, $0 <= 0.0)";

    fn f64(x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        if x <= 0.0 { 0.0 } else { x }
    }

    fn vjp(graph: &mut Graph, x: NodeId, _y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let zero = graph.scalar(0.0)?;
        let off = graph.less_equal(x, zero)?;
        graph.select(off, zero, dy).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, spaced};
    let kinks = crate::elementwise::unary::cases::<Relu>(-2.0, 2.0).into_iter().map(|c| c.not_smooth());
    kinks.chain([case("relu", serde_json::json!({}), [spaced(&[23])])]).collect()
}
