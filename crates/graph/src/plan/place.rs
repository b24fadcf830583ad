//! Cuts segments into chunks and gives every value its place in memory.
use std::collections::{HashMap, HashSet};

use super::memory::{ALIGN, Interval, allocate};
use super::schedule::{Role, Schedule};
use super::{Cut, Piece, Place, Plan, Segment, Stage};
use crate::graph::{Kind, NodeId};

/// Working sets of about this many bytes stay in the caches of a core.
const CHUNK_BYTES: usize = 3 << 18;
/// At most this many parallel tasks.
const MOST_TASKS: usize = 32;
/// A task that sums over samples has slots to clear and to add up: it should have at least this many samples.
const SAMPLES_PER_SLOT: usize = 12;
/// A span gathers at most about this many bytes for a sum.
const SPAN_BYTES: usize = 256 << 10;
/// At most this many bytes of slots.
const SLOT_BYTES: usize = 32 << 20;

/// Something that needs memory in the arena of the run.
enum Owner {
    Value(NodeId),
    Slots { stage: usize, piece: usize },
}

/// Fills in the places of all values and how each segment is cut.
pub fn place(plan: &mut Plan, schedule: &Schedule) {
    for &id in &schedule.order {
        if schedule.roles[&id] == Role::Leaf {
            plan.places[id] = Place::Leaf;
        }
    }
    for (index, cached) in plan.cached.iter().enumerate() {
        plan.places[cached.node] = Place::Cached(index);
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
        if matches!(schedule.roles[&id], Role::Fixed | Role::Whole) {
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

/// When each node is run: values of states first, then stage after stage; a segment is one moment.
fn positions(schedule: &Schedule, stages: &[Stage]) -> HashMap<NodeId, usize> {
    let mut position = HashMap::new();
    let mut now = 0;
    for &id in &schedule.order {
        if matches!(schedule.roles[&id], Role::Leaf | Role::Fixed) {
            position.insert(id, now);
            now += 1;
        }
    }
    for stage in stages {
        match stage {
            Stage::Whole(nodes) => {
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

/// Chooses tasks, chunks and spans of a segment and places the values that nothing outside it needs.
fn cut(plan: &mut Plan, segment: &mut Segment, schedule: &Schedule) {
    let at: HashMap<NodeId, usize> = segment.pieces.iter().enumerate().map(|(i, p)| (p.node, i)).collect();
    let outlives =
        |id: NodeId| schedule.roots.contains(&id) || schedule.consumers[&id].iter().any(|c| !at.contains_key(c));
    let local: Vec<NodeId> =
        segment.pieces.iter().filter(|p| p.slots.is_none() && !outlives(p.node)).map(|p| p.node).collect();
    let lifetime = |id: NodeId, samples: usize| Interval {
        start: at[&id],
        end: schedule.consumers[&id].iter().map(|c| at[c]).max().unwrap_or(at[&id]),
        bytes: plan.sample_bytes(id) * samples,
    };
    segment.tasks = tasks(plan, segment);
    let share = plan.batch.div_ceil(segment.tasks);
    let (one, _) = allocate(&local.iter().map(|&id| lifetime(id, 1)).collect::<Vec<_>>());
    let fits = (CHUNK_BYTES / one.max(1)).clamp(1, share);
    segment.chunk = share.div_ceil(share.div_ceil(fits));
    let wide = defer(plan, segment, &local);
    // What a deferred sum reads is written by every chunk of a span and stays until its end.
    let all = [0, segment.pieces.len()];
    let interval = |&id: &NodeId| match wide.contains(&id) {
        true => Interval { start: all[0], end: all[1], bytes: plan.sample_bytes(id) * segment.span },
        false => lifetime(id, segment.chunk),
    };
    let (bytes, offsets) = allocate(&local.iter().map(interval).collect::<Vec<_>>());
    segment.local_bytes = bytes;
    for (&id, offset) in local.iter().zip(offsets) {
        plan.places[id] = if wide.contains(&id) { Place::Span(offset) } else { Place::Local(offset) };
    }
    segment.cuts = cuts(plan, segment);
    segment.scratch = segment.cuts.iter().map(|cut| most_scratch(plan, segment, cut)).max().unwrap_or(0);
}

/// A number of tasks that divides well among any number of workers.
fn tasks(plan: &Plan, segment: &Segment) -> usize {
    let summed = segment.pieces.iter().filter(|p| p.slots.is_some());
    let sums: usize = summed.map(|p| plan.graph.spec(p.node).bytes()).sum();
    let most = SLOT_BYTES.checked_div(sums).map_or(plan.batch, |slots| slots.min(plan.batch / SAMPLES_PER_SLOT));
    1 << most.clamp(1, MOST_TASKS).ilog2()
}

/// Marks the sums that are larger than what they read of a chunk, so that the chunks of a span share the passes over
/// the sum; the length of the span, and the values that have to be kept for it.
fn defer(plan: &Plan, segment: &mut Segment, local: &[NodeId]) -> HashSet<NodeId> {
    let mut wide = HashSet::new();
    let mut chunks = 1;
    let share = plan.batch.div_ceil(segment.tasks);
    for piece in segment.pieces.iter_mut().filter(|p| p.slots.is_some()) {
        let inputs = &plan.graph.node(piece.node).inputs;
        let read: Vec<NodeId> = inputs.iter().zip(&piece.sliced).filter(|(_, cut)| **cut).map(|(&i, _)| i).collect();
        let chunk: usize = segment.chunk * read.iter().map(|&i| plan.sample_bytes(i)).sum::<usize>();
        let wanted = plan.graph.spec(piece.node).bytes().min(SPAN_BYTES) / chunk.max(1);
        piece.deferred = wanted > 1 && segment.chunk < share;
        if piece.deferred {
            chunks = chunks.max(wanted.min(share.div_ceil(segment.chunk)));
            wide.extend(read.into_iter().filter(|i| local.contains(i)));
        }
    }
    let all = share.div_ceil(segment.chunk);
    segment.span = segment.chunk * all.div_ceil(all.div_ceil(chunks));
    wide
}

/// Shapes for each size of chunk and span that the tasks of a segment meet.
fn cuts(plan: &Plan, segment: &Segment) -> Vec<Cut> {
    let mut sizes: Vec<usize> = (0..segment.tasks)
        .map(|t| plan.task_samples(segment, t).len())
        .flat_map(|share| [segment.chunk, segment.span].map(|most| [share.min(most), share % most]))
        .flatten()
        .filter(|&n| n > 0)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let shape = |id: NodeId, cut: bool, samples: usize| {
        if cut { plan.chunk_shape(id, samples) } else { plan.graph.shape(id).to_vec() }
    };
    let of = |samples: usize| Cut {
        samples,
        inputs: (segment.pieces.iter())
            .map(|p| {
                let inputs = &plan.graph.node(p.node).inputs;
                inputs.iter().zip(&p.sliced).map(|(&i, &cut)| shape(i, cut, samples)).collect()
            })
            .collect(),
        outputs: segment.pieces.iter().map(|p| shape(p.node, p.slots.is_none(), samples)).collect(),
    };
    sizes.into_iter().map(of).collect()
}

fn most_scratch(plan: &Plan, segment: &Segment, cut: &Cut) -> usize {
    let of = |(i, piece): (usize, &Piece)| scratch(plan, piece.node, &cut.inputs[i], &cut.outputs[i]);
    segment.pieces.iter().enumerate().map(of).max().unwrap_or(0)
}

/// Floats of working memory for a node and operands of these shapes.
fn scratch(plan: &Plan, id: NodeId, inputs: &[Vec<usize>], output: &[usize]) -> usize {
    let Kind::Op(op) = &plan.graph.node(id).kind else { return 0 };
    let inputs: Vec<&[usize]> = inputs.iter().map(Vec::as_slice).collect();
    op.scratch(&inputs, output)
}
