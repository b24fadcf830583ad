//! Which values hold a row for each sample that depends on that sample alone, as far as the rules of the ops show it.
use std::collections::HashMap;

use super::schedule::{Role, Schedule};
use crate::graph::{Graph, Kind, NodeId};

/// What of the batched leaves a value depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dependence {
    /// None of them.
    Nothing,
    /// The rows of a sample on that sample's rows, by the same rule for each sample.
    Own,
    /// The samples of a batch on each other, or on where in the batch they stand; or nothing is known.
    Mixed,
}

/// For each of `outputs` whether its rows depend on their own sample alone, wherever that stands in the batch.
///
/// It rests on [`crate::Op::samples`], by which segments are cut: an op that treats samples independently computes a
/// chunk of them without the others. What is cut beside the samples has rows that differ from sample to sample.
pub fn separate(graph: &Graph, schedule: &Schedule, outputs: &[NodeId], batch: usize) -> Vec<bool> {
    let mut dependences: HashMap<NodeId, Dependence> = HashMap::new();
    for &id in &schedule.order {
        let node = graph.node(id);
        let of_inputs = || node.inputs.iter().map(|i| dependences[i]);
        let same_for_all = |i: &NodeId| batch == 1 || graph.spec(*i).shape.first() == Some(&1);
        let dependence = match (&schedule.roles[&id], &node.kind) {
            (_, Kind::Input { batched: true, .. }) => Dependence::Own,
            // It holds rows by their places, not samples of this run.
            (_, Kind::State { batched: true, .. }) => Dependence::Mixed,
            _ if of_inputs().all(|d| d == Dependence::Nothing) => Dependence::Nothing,
            (Role::PerSample(sliced), _) => {
                let fits = |(i, &cut): (&NodeId, &bool)| match dependences[i] {
                    Dependence::Nothing => !cut || same_for_all(i),
                    Dependence::Own => cut,
                    Dependence::Mixed => false,
                };
                if node.inputs.iter().zip(sliced).all(fits) { Dependence::Own } else { Dependence::Mixed }
            }
            _ => Dependence::Mixed,
        };
        dependences.insert(id, dependence);
    }
    outputs.iter().map(|id| dependences[id] == Dependence::Own).collect()
}
