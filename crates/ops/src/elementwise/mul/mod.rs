//! a b, element by element.
use tslip_graph::{Accuracy, Graph, NodeId, Result};

use crate::elementwise::binary::Arithmetic;
use crate::emit::Emit;

/// `mul`: the product, with broadcasting; f32 or i32.
#[derive(Debug)]
pub struct Mul;

impl Arithmetic for Mul {
    const NAME: &'static str = "mul";
    const ACCURACY: Accuracy = Accuracy::Summed;
    const I32: Option<fn(i32, i32) -> i32> = Some(i32::wrapping_mul);
    const WGSL: &'static str = "$0 * $1";

    fn f64(a: f64, b: f64) -> f64 {
        a * b
    }

    #[inline(always)]
    fn f32(a: f32, b: f32) -> f32 {
        a * b
    }

    fn vjp(graph: &mut Graph, [a, b]: [NodeId; 2], _y: NodeId, dy: NodeId) -> Result<[NodeId; 2]> {
        Ok([graph.mul(dy, b)?, graph.mul(dy, a)?])
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::binary::cases::<Mul>(-2.0, 2.0)
}
