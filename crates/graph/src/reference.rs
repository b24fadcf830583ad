//! Runs a graph by the plain f64 definitions of its ops: the oracle of every engine.
use ndarray::ArrayD;
use std::collections::HashMap;

use crate::graph::{Graph, Kind, NodeId};

/// Values of `wanted`, given the values of the leaves they depend on.
///
/// # Panics
/// If a leaf that is needed has no value: this is for tests and verification, where that is a mistake of the caller.
pub fn evaluate(graph: &Graph, leaves: &HashMap<NodeId, ArrayD<f64>>, wanted: &[NodeId]) -> Vec<ArrayD<f64>> {
    let mut live = vec![false; graph.nodes().len()];
    let mut stack = wanted.to_vec();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut live[id], true) {
            stack.extend(&graph.node(id).inputs);
        }
    }
    let mut values: HashMap<NodeId, ArrayD<f64>> = HashMap::new();
    for id in (0..live.len()).filter(|&id| live[id]) {
        let node = graph.node(id);
        let value = match (leaves.get(&id), &node.kind) {
            (Some(v), _) => v.clone(),
            (None, Kind::Op(op)) => {
                let inputs: Vec<&ArrayD<f64>> = node.inputs.iter().map(|i| &values[i]).collect();
                op.reference(&inputs, &node.spec)
            }
            (None, leaf) => panic!("no value was given for leaf {id} ({leaf:?})"),
        };
        assert_eq!(value.shape(), node.spec.shape, "the reference of node {id} has another shape than inferred");
        values.insert(id, value);
    }
    wanted.iter().map(|id| values[id].clone()).collect()
}
