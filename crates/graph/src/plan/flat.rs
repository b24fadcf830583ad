//! Gathers elementwise nodes over complete tensors of equal size, such as an optimizer's, in segments over elements.
use std::collections::HashSet;

use super::layout::{Piece, Segment, Stage};
use crate::graph::{Graph, Kind, NodeId};

/// Smaller tensors are not worth cutting.
const FEWEST_ELEMENTS: usize = 4096;

/// Stages for nodes over complete tensors, which are given in topological order.
pub fn stages(graph: &Graph, nodes: &[NodeId]) -> Vec<Stage> {
    let mut waiting: HashSet<NodeId> = nodes.iter().copied().collect();
    let mut stages = Vec::new();
    while !waiting.is_empty() {
        let plain = take(graph, nodes, &mut waiting, |id| elements(graph, id).is_none());
        if !plain.is_empty() {
            stages.push(Stage::Whole(plain));
        }
        let Some(count) = nodes.iter().find(|id| waiting.contains(id)).and_then(|&id| elements(graph, id)) else {
            break;
        };
        let together = take(graph, nodes, &mut waiting, |id| elements(graph, id) == Some(count));
        let piece = |node: NodeId| {
            let sliced = graph.node(node).inputs.iter().map(|&i| graph.spec(i).len() == count).collect();
            Piece { node, sliced, slots: None, deferred: false }
        };
        stages.push(Stage::Segment(Segment::new(together.into_iter().map(piece).collect(), count, true)));
    }
    stages
}

/// Takes the nodes that `which` picks and that wait for none but each other.
fn take(graph: &Graph, nodes: &[NodeId], waiting: &mut HashSet<NodeId>, which: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
    let mut taken = Vec::new();
    for &id in nodes {
        let ready = waiting.contains(&id) && !graph.node(id).inputs.iter().any(|i| waiting.contains(i));
        if ready && which(id) {
            waiting.remove(&id);
            taken.push(id);
        }
    }
    taken
}

/// The number of elements of a node whose result and operands all have that many, or one.
fn elements(graph: &Graph, id: NodeId) -> Option<usize> {
    let (node, shape) = (graph.node(id), graph.shape(id));
    let Kind::Op(op) = &node.kind else { return None };
    let fits = |&i: &NodeId| graph.shape(i) == shape || graph.spec(i).len() == 1;
    let count = node.spec.len();
    (op.elementwise() && count >= FEWEST_ELEMENTS && node.inputs.iter().all(fits)).then_some(count)
}
