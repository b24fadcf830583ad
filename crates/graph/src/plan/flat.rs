//! Gathers elementwise nodes over complete tensors of equal size, such as an optimizer's, in segments over elements, and sums over
//! processes in stages of their own.
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
        let plain = take(graph, nodes, &mut waiting, |id| elements(graph, id).is_none() && !sums(graph, id));
        if !plain.is_empty() {
            stages.push(Stage::Whole(plain));
        }
        let ready = nodes.iter().filter(|&&id| is_ready(graph, &waiting, id));
        let Some(count) = ready.filter_map(|&id| elements(graph, id)).next() else {
            // As late as can be, and so together.
            let summed = take(graph, nodes, &mut waiting, |id| sums(graph, id));
            if !summed.is_empty() {
                stages.push(Stage::ProcessSums(summed));
            }
            continue;
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
        if is_ready(graph, waiting, id) && which(id) {
            waiting.remove(&id);
            taken.push(id);
        }
    }
    taken
}

fn is_ready(graph: &Graph, waiting: &HashSet<NodeId>, id: NodeId) -> bool {
    waiting.contains(&id) && !graph.node(id).inputs.iter().any(|i| waiting.contains(i))
}

fn sums(graph: &Graph, id: NodeId) -> bool {
    matches!(&graph.node(id).kind, Kind::Op(op) if op.sums_processes())
}

/// The number of elements of a node whose result and operands all have that many, or one.
fn elements(graph: &Graph, id: NodeId) -> Option<usize> {
    let (node, shape) = (graph.node(id), graph.shape(id));
    let Kind::Op(op) = &node.kind else { return None };
    let fits = |&i: &NodeId| graph.shape(i) == shape || graph.spec(i).len() == 1;
    let count = node.spec.len();
    (op.elementwise() && count >= FEWEST_ELEMENTS && node.inputs.iter().all(fits)).then_some(count)
}
