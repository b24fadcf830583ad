//! The sign of x: -1, 0 or 1.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::unary::Function;

/// `sign`; 0 at both zeros and at NaN, as PyTorch has it. Its derivative is taken as 0 everywhere.
#[derive(Debug)]
pub struct Sign;

impl Function for Sign {
    const NAME: &'static str = "sign";
    const ACCURACY: Accuracy = Accuracy::Exact;
    const WGSL: &'static str = "select(0.0, 1.0, $0 > 0.0) - select(0.0, 1.0, $0 < 0.0)";

    fn f64(x: f64) -> f64 {
        f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
    }

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        f32::from(i8::from(x > 0.0) - i8::from(x < 0.0))
    }

    fn vjp(_graph: &mut Graph, _x: NodeId, _y: NodeId, _dy: NodeId) -> Result<Option<NodeId>> {
        Ok(None)
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{case, spaced};
    let kinks = crate::elementwise::unary::cases::<Sign>(-2.0, 2.0).into_iter().map(|c| c.not_smooth());
    kinks.chain([case("sign", serde_json::json!({}), [spaced(&[23])])]).collect()
}
