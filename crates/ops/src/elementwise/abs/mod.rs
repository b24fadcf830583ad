//! |x|.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::unary::Function;
use crate::emit::Emit;

/// `abs`; its derivative at 0 is taken as 0.
#[derive(Debug)]
pub struct Abs;

impl Function for Abs {
    const NAME: &'static str = "abs";
    const ACCURACY: Accuracy = Accuracy::Exact;
    const WGSL: &'static str = "bitcast<f32>(bitcast<u32>($0) & 0x7fffffffu)";

    fn f64(x: f64) -> f64 {
        x.abs()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        x.abs()
    }

    fn vjp(graph: &mut Graph, x: NodeId, _y: NodeId, dy: NodeId) -> Result<Option<NodeId>> {
        let sign = graph.sign(x)?;
        graph.mul(dy, sign).map(Some)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, spaced};
    let kinks = crate::elementwise::unary::cases::<Abs>(-2.0, 2.0).into_iter().map(|c| c.not_smooth());
    kinks.chain([case("abs", serde_json::json!({}), [spaced(&[23])])]).collect()
}
