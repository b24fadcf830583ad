//! Puts fused blocks in the place of the nodes they compute: one pass over memory instead of several.
//!
//! An op says itself what it fuses with (`Op::fused`). Nodes are asked from the last to the first, so that a gradient
//! that computes a value again has been seen when the node it got the value from is asked who else uses it.
use crate::arrange::live;
use crate::error::Result;
use crate::graph::{Graph, Kind, NodeId};
use crate::op::Fused;

/// The same graph with its fused blocks, and where `roots` are in it.
pub fn fuse(graph: &Graph, roots: &[NodeId]) -> Result<(Graph, Vec<NodeId>)> {
    let order = live(graph, roots);
    let mut uses = vec![0usize; graph.nodes().len()];
    for id in order.iter().flat_map(|&id| &graph.node(id).inputs).chain(roots) {
        uses[*id] += 1;
    }
    let mut fused: Vec<Option<Fused>> = vec![None; graph.nodes().len()];
    for &id in order.iter().rev() {
        let node = graph.node(id);
        if uses[id] == 0 {
            node.inputs.iter().for_each(|&i| uses[i] -= 1);
            continue;
        }
        let Kind::Op(op) = &node.kind else { continue };
        let only_here = |input: NodeId| uses[input] == 1;
        if let Some(block) = op.fused(graph, &node.inputs, &only_here) {
            block.inputs.iter().for_each(|&i| uses[i] += 1);
            node.inputs.iter().for_each(|&i| uses[i] -= 1);
            fused[id] = Some(block);
        }
    }
    let mut to = Graph::new(graph.registry());
    let mut at = vec![0; graph.nodes().len()];
    for id in order.into_iter().filter(|&id| uses[id] > 0) {
        let node = graph.node(id);
        at[id] = match (&node.kind, fused[id].take()) {
            (Kind::Input { index, batched }, _) => to.input(*index, node.spec.clone(), *batched)?,
            (Kind::State { id, batched }, _) => to.state(*id, node.spec.clone(), *batched)?,
            (Kind::Op(_), Some(block)) => to.add(block.op, &places(&at, &block.inputs))?,
            (Kind::Op(op), None) => to.add(op.clone(), &places(&at, &node.inputs))?,
        };
    }
    let roots = places(&at, roots);
    Ok((to, roots))
}

fn places(at: &[NodeId], inputs: &[NodeId]) -> Vec<NodeId> {
    inputs.iter().map(|&i| at[i]).collect()
}
