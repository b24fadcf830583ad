//! Pooling of channels sorted in pairs: what the fused blocks share, and where a graph has them.
use std::sync::Arc;
use tslip_graph::graph::Kind;
use tslip_graph::{Error, Fused, Graph, NodeId, Op, Result, Spec};

use super::Window;
use super::l2_norm_pool2d_grad::L2NormPool2dGrad;
use super::sorted_l2_norm_pool2d::SortedL2NormPool2d;
use super::sorted_l2_norm_pool2d_grad::SortedL2NormPool2dGrad;
use crate::conv::Layout;
use crate::sort::group_permute::GroupPermute;
use crate::sort::group_sort::GroupSort;

/// The axis of channels where they are last.
const CHANNELS: usize = 3;

/// Sorts pairs of channels.
pub fn sorting() -> Arc<GroupSort> {
    Arc::new(GroupSort { axis: CHANNELS, group_size: 2 })
}

/// Moves values as sorting pairs of channels does.
pub fn moving() -> Arc<GroupPermute> {
    Arc::new(GroupPermute { axis: CHANNELS, group_size: 2, inverse: false })
}

/// Moves values back.
pub fn moving_back() -> Arc<GroupPermute> {
    Arc::new(GroupPermute { inverse: true, ..(*moving()).clone() })
}

/// Refuses another layout than the kernels', and channels that do not divide into pairs.
pub fn channel_pairs(window: &Window, x: &Spec) -> Result<()> {
    window.windows(x)?;
    match x.shape[CHANNELS] {
        _ if window.layout != Layout::Nhwc => {
            Err(Error::argument("pooling of sorted channels is defined for the layout \"nhwc\" alone"))
        }
        c if c % 2 != 0 => Err(Error::shape(format!("{c} channels do not divide into pairs"))),
        _ => Ok(()),
    }
}

/// The block for an `l2_norm_pool2d` of pairs that are sorted for it alone.
pub fn fused_norm(window: &Window, graph: &Graph, pooled: NodeId, only_here: bool) -> Option<Fused> {
    let inputs = (only_here && window.layout == Layout::Nhwc).then(|| computed_by(graph, pooled, &*sorting()))??;
    Some(Fused { op: Arc::new(SortedL2NormPool2d(*window)), inputs: inputs.to_vec() })
}

/// The block for a `group_permute` of pairs of channels of x that moves back the gradient of the norm of x sorted.
pub fn fused_gradient(graph: &Graph, x: NodeId, gradient: NodeId) -> Option<Fused> {
    let node = graph.node(gradient);
    let Kind::Op(op) = &node.kind else { return None };
    if op.name() != L2NormPool2dGrad::NAME {
        return None;
    }
    let window: Window = serde_json::from_value(op.attributes()).ok()?;
    let of_sorted = window.layout == Layout::Nhwc && computed_by(graph, node.inputs[0], &*sorting()) == Some(&[x]);
    let inputs = vec![x, node.inputs[1], node.inputs[2]];
    of_sorted.then(|| Fused { op: Arc::new(SortedL2NormPool2dGrad(window)), inputs })
}

/// The operands of a node that this op computes.
fn computed_by<'a>(graph: &'a Graph, id: NodeId, op: &dyn Op) -> Option<&'a [NodeId]> {
    let node = graph.node(id);
    match &node.kind {
        Kind::Op(own) if own.name() == op.name() && own.attributes() == op.attributes() => Some(&node.inputs),
        _ => None,
    }
}
