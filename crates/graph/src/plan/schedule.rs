//! Decides for each node whether it runs per sample, as a sum over samples or on complete tensors, and in which stage.
//!
//! Even stages hold nodes over complete tensors, odd stages are segments. A node is put as late as its consumers allow:
//! the forward pass then stands in the segment of the backward pass, and what both need stays in cache.
use std::collections::HashMap;

use super::flat;
use super::layout::{ParameterOnly, Piece, Segment, Stage};
use crate::graph::{Graph, Kind, Node, NodeId, StateId};
use crate::op::{Op, Operand, Samples};

/// How many bytes kept for all samples cost as much as a byte of a sum, which every task has a slot for.
const SLOTS_TO_KEPT: usize = 24;

/// What a node is for the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// An input or a state.
    Leaf,
    /// Depends on states alone.
    ParameterOnly,
    /// Runs once on complete tensors.
    Whole,
    /// Runs on a chunk of samples; which inputs are cut.
    PerSample(Vec<bool>),
    /// Adds up over chunks of samples; which inputs are cut.
    Sum(Vec<bool>),
}

/// Roles, stages and consumers of the live nodes.
#[derive(Debug)]
pub struct Schedule {
    pub order: Vec<NodeId>,
    pub roots: Vec<NodeId>,
    pub roles: HashMap<NodeId, Role>,
    pub consumers: HashMap<NodeId, Vec<NodeId>>,
    pub stage: HashMap<NodeId, usize>,
    batch: usize,
}

impl Schedule {
    pub fn new(graph: &Graph, order: &[NodeId], roots: &[NodeId], batch: usize) -> Self {
        let mut consumers: HashMap<NodeId, Vec<NodeId>> = order.iter().map(|&id| (id, Vec::new())).collect();
        for &id in order {
            for input in &graph.node(id).inputs {
                consumers.entry(*input).or_default().push(id);
            }
        }
        let roles = roles(graph, order, batch);
        let stage = stages(graph, order, &roles, &consumers);
        Schedule { order: order.to_vec(), roots: roots.to_vec(), roles, consumers, stage, batch }
    }

    /// The parameter-only values that something else uses or that are asked for.
    pub fn parameter_only(&self, graph: &Graph) -> Vec<ParameterOnly> {
        let parameter_only = |id: NodeId| self.roles[&id] == Role::ParameterOnly;
        let wanted = |id: NodeId| self.roots.contains(&id) || self.consumers[&id].iter().any(|&c| !parameter_only(c));
        self.order
            .iter()
            .copied()
            .filter(|&id| parameter_only(id) && wanted(id))
            .map(|node| {
                let below = crate::arrange::live(graph, &[node]);
                let mut states: Vec<StateId> = below
                    .iter()
                    .filter_map(|&id| match graph.node(id).kind {
                        Kind::State { id, .. } => Some(id),
                        _ => None,
                    })
                    .collect();
                states.sort_unstable();
                states.dedup();
                ParameterOnly { node, states, needs: below.into_iter().filter(|&id| parameter_only(id)).collect() }
            })
            .collect()
    }

    /// The stages in order, not yet cut into chunks.
    pub fn stages(&self, graph: &Graph) -> Vec<Stage> {
        let last = self.stage.values().copied().max().map_or(0, |s| s + 1);
        let mut whole: Vec<Vec<NodeId>> = vec![Vec::new(); last];
        let mut pieces: Vec<Vec<Piece>> = vec![Vec::new(); last];
        for &node in &self.order {
            let Some(&stage) = self.stage.get(&node) else { continue };
            match &self.roles[&node] {
                Role::PerSample(sliced) => {
                    pieces[stage].push(Piece { node, sliced: sliced.clone(), slots: None, deferred: false })
                }
                Role::Sum(sliced) => {
                    pieces[stage].push(Piece { node, sliced: sliced.clone(), slots: Some(0), deferred: false })
                }
                _ => whole[stage].push(node),
            }
        }
        (0..last)
            .flat_map(|s| match (whole[s].is_empty(), pieces[s].is_empty()) {
                (false, _) => flat::stages(graph, &whole[s]),
                (_, false) => {
                    vec![Stage::Segment(Segment::new(std::mem::take(&mut pieces[s]), self.batch, false))]
                }
                _ => Vec::new(),
            })
            .collect()
    }
}

fn roles(graph: &Graph, order: &[NodeId], batch: usize) -> HashMap<NodeId, Role> {
    let mut roles: HashMap<NodeId, Role> = HashMap::new();
    // Whether axis 0 of a value runs over the samples. Wrongly saying so would cost speed, never correctness: an op
    // is only ever cut where its own rule says that rows are independent.
    let mut batched: HashMap<NodeId, bool> = HashMap::new();
    for &id in order {
        let node = graph.node(id);
        let op = match &node.kind {
            Kind::Input { batched: b, .. } | Kind::State { batched: b, .. } => {
                roles.insert(id, Role::Leaf);
                batched.insert(id, *b && node.spec.shape.first() == Some(&batch));
                continue;
            }
            Kind::Op(op) => op,
        };
        let parameter_only = |i: &NodeId| {
            roles[i] == Role::ParameterOnly || matches!(graph.node(*i).kind, Kind::State { batched: false, .. })
        };
        let (role, along) = if op.sums_processes() {
            // Also of parameter-only values: all processes form it in the same steps.
            (Role::Whole, false)
        } else if node.inputs.iter().all(parameter_only) {
            (Role::ParameterOnly, false)
        } else {
            let operands: Vec<Operand<'_>> =
                node.inputs.iter().map(|i| Operand { spec: graph.spec(*i), batched: batched[i] }).collect();
            role(op.as_ref(), &operands, node, batch)
        };
        roles.insert(id, role);
        batched.insert(id, along);
    }
    roles
}

/// The role of an op that depends on inputs of the run, and whether its result runs along the samples.
fn role(op: &dyn Op, operands: &[Operand<'_>], node: &Node, batch: usize) -> (Role, bool) {
    if !operands.iter().any(|o| o.batched) {
        return (Role::Whole, false);
    }
    let divides = |shape: &[usize]| shape.first().is_some_and(|n| n % batch == 0 && *n > 0);
    let cuts = |sliced: &[bool]| {
        operands.iter().zip(sliced).all(|(o, &cut)| if cut { divides(&o.spec.shape) } else { !o.batched })
    };
    match op.samples(operands, &node.spec) {
        Samples::PerSample { sliced } if cuts(&sliced) && divides(&node.spec.shape) => (Role::PerSample(sliced), true),
        Samples::Sum { sliced } if cuts(&sliced) && !better_whole(op, operands, &sliced, node) => {
            (Role::Sum(sliced), false)
        }
        _ => (Role::Whole, node.spec.shape.first() == Some(&batch)),
    }
}

/// Whether a sum over the samples is better formed at once from all of them, on all workers: where passing over its slots
/// costs more than keeping what it reads.
fn better_whole(op: &dyn Op, operands: &[Operand<'_>], sliced: &[bool], node: &Node) -> bool {
    let read: usize = operands.iter().zip(sliced).filter(|(_, cut)| **cut).map(|(o, _)| o.spec.bytes()).sum();
    op.parallel() && node.spec.bytes().saturating_mul(SLOTS_TO_KEPT) > read
}

/// The latest stage of each node that is run with the step.
fn stages(
    graph: &Graph,
    order: &[NodeId],
    roles: &HashMap<NodeId, Role>,
    consumers: &HashMap<NodeId, Vec<NodeId>>,
) -> HashMap<NodeId, usize> {
    let runs = |id: &NodeId| !matches!(roles[id], Role::Leaf | Role::ParameterOnly);
    let whole = |id: &NodeId| roles[id] == Role::Whole;
    // How many stages lie between a node and a consumer of it.
    let gap = |from: &NodeId, to: &NodeId| match (whole(from), whole(to)) {
        (true, true) => 0,
        (true, false) | (false, true) => 1,
        (false, false) => {
            if matches!(roles[from], Role::Sum(_)) {
                2
            } else {
                0
            }
        }
    };
    let mut earliest: HashMap<NodeId, usize> = HashMap::new();
    for id in order.iter().filter(|id| runs(id)) {
        let after = graph.node(*id).inputs.iter().filter(|i| runs(i)).map(|i| earliest[i] + gap(i, id)).max();
        earliest.insert(*id, after.unwrap_or(if whole(id) { 0 } else { 1 }));
    }
    let last = earliest.values().copied().max().unwrap_or(0);
    let mut latest: HashMap<NodeId, usize> = HashMap::new();
    for id in order.iter().rev().filter(|id| runs(id)) {
        let parity = if whole(id) { 0 } else { 1 };
        let end = if last % 2 == parity { last } else { last - 1 };
        let before = consumers[id].iter().filter(|c| runs(c)).map(|c| latest[c] - gap(id, c)).min();
        latest.insert(*id, before.unwrap_or(end));
    }
    latest
}
