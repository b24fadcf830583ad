//! Cuts segments into chunks and gives every value its place in memory.
use std::collections::HashMap;

use super::cut::{cut, scratch};
use super::layout::{Layout, Place, Stage};
use super::memory::{ALIGN, Interval, allocate};
use super::schedule::{Role, Schedule};
use crate::graph::NodeId;

/// Something that needs memory in the arena of the run.
enum Owner {
    Value(NodeId),
    Slots { stage: usize, piece: usize },
}

/// Fills in the places of all values and how each segment is cut.
pub fn place(plan: &mut Layout, schedule: &Schedule) {
    for &id in &schedule.order {
        if schedule.roles[&id] == Role::Leaf {
            plan.places[id] = Place::Leaf;
        }
    }
    for (index, value) in plan.parameter_only.iter().enumerate() {
        plan.places[value.node] = Place::ParameterOnly(index);
    }
    let mut stages = std::mem::take(&mut plan.stages);
    let position = positions(schedule, &stages);
    let end = |id: NodeId| {
        let used = schedule.consumers[&id].iter().map(|c| position[c]).max().unwrap_or(position[&id]);
        if schedule.roots.contains(&id) { usize::MAX } else { used }
    };
    let mut owners: Vec<(Owner, Interval)> = Vec::new();
    for (index, stage) in stages.iter_mut().enumerate() {
        let Stage::Segment(segment) = stage else { continue };
        cut(plan, segment, schedule);
        let at = position[&segment.pieces[0].node];
        for (i, piece) in segment.pieces.iter().enumerate().filter(|(_, p)| p.slots.is_some()) {
            let bytes = plan.graph.spec(piece.node).bytes().next_multiple_of(ALIGN) * segment.tasks;
            owners.push((Owner::Slots { stage: index, piece: i }, Interval { start: at, end: at, bytes }));
        }
    }
    for &id in &schedule.order {
        if plan.places[id] == Place::Unused {
            let bytes = plan.graph.spec(id).bytes();
            owners.push((Owner::Value(id), Interval { start: position[&id], end: end(id), bytes }));
        }
        if matches!(schedule.roles[&id], Role::ParameterOnly | Role::Whole) {
            let inputs: Vec<Vec<usize>> =
                plan.graph.node(id).inputs.iter().map(|&i| plan.graph.shape(i).to_vec()).collect();
            plan.scratch = plan.scratch.max(scratch(plan, id, &inputs, plan.graph.shape(id)));
        }
    }
    let intervals: Vec<Interval> = owners.iter().map(|o| o.1).collect();
    let (total, offsets) = allocate(&intervals);
    plan.main_bytes = total;
    for ((owner, _), offset) in owners.into_iter().zip(offsets) {
        match owner {
            Owner::Value(id) => plan.places[id] = Place::Main(offset),
            Owner::Slots { stage, piece } => {
                if let Stage::Segment(segment) = &mut stages[stage] {
                    segment.pieces[piece].slots = Some(offset);
                }
            }
        }
    }
    plan.stages = stages;
}

/// When each node is run: parameter-only values first, then stage after stage; a segment is one moment.
fn positions(schedule: &Schedule, stages: &[Stage]) -> HashMap<NodeId, usize> {
    let mut position = HashMap::new();
    let mut now = 0;
    for &id in &schedule.order {
        if matches!(schedule.roles[&id], Role::Leaf | Role::ParameterOnly) {
            position.insert(id, now);
            now += 1;
        }
    }
    for stage in stages {
        match stage {
            Stage::Whole(nodes) | Stage::ProcessSums(nodes) => {
                for &id in nodes {
                    position.insert(id, now);
                    now += 1;
                }
            }
            Stage::Segment(segment) => {
                position.extend(segment.pieces.iter().map(|p| (p.node, now)));
                now += 1;
            }
        }
    }
    position
}
