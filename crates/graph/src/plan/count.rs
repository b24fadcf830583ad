//! Counts the floating-point operations that a step asks for, whatever its plan computes twice or not at all, and guesses
//! how long nodes take.
use std::collections::BTreeMap;

use crate::arrange::live;
use crate::graph::{Graph, Kind, NodeId};

/// Operations of the nodes that `roots` need, by the name of the op. What depends on no input is left out: parameter-only
/// values are kept from step to step, so that how many are computed depends on what has changed.
pub fn flops_by_op(graph: &Graph, roots: &[NodeId]) -> BTreeMap<&'static str, u64> {
    let mut fed = vec![false; graph.nodes().len()];
    let mut sums = BTreeMap::new();
    for id in live(graph, roots) {
        let node = graph.node(id);
        fed[id] = matches!(node.kind, Kind::Input { .. }) || node.inputs.iter().any(|&i| fed[i]);
        if let (Kind::Op(op), true) = (&node.kind, fed[id]) {
            *sums.entry(op.name()).or_default() += flops(graph, id);
        }
    }
    sums
}

/// Operations of one node over the whole batch.
pub fn flops(graph: &Graph, id: NodeId) -> u64 {
    let node = graph.node(id);
    let Kind::Op(op) = &node.kind else { return 0 };
    let inputs: Vec<&[usize]> = node.inputs.iter().map(|&i| graph.shape(i)).collect();
    op.flops(&inputs, &node.spec.shape)
}

/// What a core does in a nanosecond on values in its caches: the same guess on every machine.
const FLOPS_A_NANOSECOND: f64 = 150.0;
const BYTES_A_NANOSECOND: f64 = 60.0;

/// A rough guess at the time that a node takes on one core.
pub fn nanoseconds(graph: &Graph, id: NodeId) -> f64 {
    let operands = graph.node(id).inputs.iter().chain([&id]);
    let bytes: usize = operands.map(|&i| graph.spec(i).bytes()).sum();
    flops(graph, id) as f64 / FLOPS_A_NANOSECOND + bytes as f64 / BYTES_A_NANOSECOND
}
