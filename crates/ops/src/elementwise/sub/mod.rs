//! a - b.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::binary::Arithmetic;
use crate::emit::Emit;

/// `sub`: the difference, with broadcasting; f32 or i32.
#[derive(Debug)]
pub struct Sub;

impl Arithmetic for Sub {
    const NAME: &'static str = "sub";
    const ACCURACY: Accuracy = Accuracy::Summed;
    const I32: Option<fn(i32, i32) -> i32> = Some(i32::wrapping_sub);
    const WGSL: &'static str = "$0 - $1";

    fn f64(a: f64, b: f64) -> f64 {
        a - b
    }

    #[inline(always)]
    fn f32(a: f32, b: f32) -> f32 {
        a - b
    }

    fn vjp(graph: &mut Graph, _operands: [NodeId; 2], _y: NodeId, dy: NodeId) -> Result<[NodeId; 2]> {
        Ok([dy, graph.neg(dy)?])
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::binary::cases::<Sub>(-2.0, 2.0)
}
