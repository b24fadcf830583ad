//! The largest whole number that is not above x.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::unary::Function;

/// `floor`. Its derivative is taken as 0 everywhere.
#[derive(Debug)]
pub struct Floor;

impl Function for Floor {
    const NAME: &'static str = "floor";
    const ACCURACY: Accuracy = Accuracy::Exact;
    const WGSL: &'static str = "floor($0)";

    fn f64(x: f64) -> f64 {
        x.floor()
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        x.floor()
    }

    fn vjp(_graph: &mut Graph, _x: NodeId, _y: NodeId, _dy: NodeId) -> Result<Option<NodeId>> {
        Ok(None)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, uniform};
    let jumps = crate::elementwise::unary::cases::<Floor>(-3.0, 3.0).into_iter().map(|c| c.not_smooth());
    jumps.chain([case("floor", serde_json::json!({}), [uniform(&[23], 2.1, 2.9)])]).collect()
}
