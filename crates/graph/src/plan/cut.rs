//! Cuts a segment into tasks, chunks and spans, by the shapes of its operands alone.
use std::collections::{HashMap, HashSet};

use super::count::nanoseconds;
use super::layout::{Cut, Layout, Piece, Place, Segment};
use super::memory::{Interval, allocate};
use super::schedule::Schedule;
use crate::graph::{Kind, NodeId};

/// Working sets of about this many bytes stay in the caches of a core.
const CHUNK_BYTES: usize = 3 << 18;
/// A span gathers at most about this many bytes for a sum.
const SPAN_BYTES: usize = 256 << 10;
/// Elements of a chunk of a segment over elements, whose values then stay in the first caches.
const FLAT_CHUNK: usize = 4096;
/// At most this many parallel tasks.
const MOST_TASKS: usize = 32;
/// At most this many bytes of slots.
const SLOT_BYTES: usize = 32 << 20;
/// So few tasks are worth their passes wherever there is work for them.
const FEW_TASKS: usize = 2;
/// What a task should take at least, for the time that it takes to hand it out.
const TASK_NANOSECONDS: f64 = 80_000.0;
/// A task works this many times longer than its slots take: they are cleared, read and added.
const SLOT_SHARE: f64 = 16.0;
const SLOT_PASSES: f64 = 3.0;
/// A task works this many times longer than it takes to read what is not cut, which comes from a cache farther away.
const WHOLE_SHARE: f64 = 8.0;
/// What a core reads of memory that is shared.
const BYTES_A_NANOSECOND: f64 = 30.0;

/// Chooses tasks, chunks and spans of a segment and places the values that nothing outside it needs.
pub fn cut(plan: &mut Layout, segment: &mut Segment, schedule: &Schedule) {
    let at: HashMap<NodeId, usize> = segment.pieces.iter().enumerate().map(|(i, p)| (p.node, i)).collect();
    let outlives =
        |id: NodeId| schedule.roots.contains(&id) || schedule.consumers[&id].iter().any(|c| !at.contains_key(c));
    let local: Vec<NodeId> =
        segment.pieces.iter().filter(|p| p.slots.is_none() && !outlives(p.node)).map(|p| p.node).collect();
    let all = segment.samples;
    let lifetime = |id: NodeId, samples: usize| Interval {
        start: at[&id],
        end: schedule.consumers[&id].iter().map(|c| at[c]).max().unwrap_or(at[&id]),
        bytes: plan.graph.spec(id).bytes() / all * samples,
    };
    segment.tasks = tasks(plan, segment);
    let share = segment.samples.div_ceil(segment.tasks);
    let fits = match segment.flat {
        true => FLAT_CHUNK,
        false => CHUNK_BYTES / allocate(&local.iter().map(|&id| lifetime(id, 1)).collect::<Vec<_>>()).0.max(1),
    };
    segment.chunk = share.div_ceil(share.div_ceil(fits.clamp(1, share)));
    let wide = defer(plan, segment, &local);
    // What a deferred sum reads is written by every chunk of a span and stays until its end.
    let interval = |&id: &NodeId| match wide.contains(&id) {
        true => Interval { start: 0, end: segment.pieces.len(), ..lifetime(id, segment.span) },
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

/// A number of tasks that divides well among any number of workers: a power of two, each with work worth handing out,
/// so few that reading weights, and clearing and adding up the slots of the sums, takes little of the time.
fn tasks(plan: &Layout, segment: &Segment) -> usize {
    let work: f64 = segment.pieces.iter().map(|piece| nanoseconds(&plan.graph, piece.node)).sum();
    let summed = segment.pieces.iter().filter(|p| p.slots.is_some());
    let slots: usize = summed.map(|p| plan.graph.spec(p.node).bytes()).sum();
    let whole: usize = segment.pieces.iter().map(|piece| whole_bytes(plan, piece)).sum();
    let passes = SLOT_SHARE * SLOT_PASSES * slots as f64 + WHOLE_SHARE * whole as f64;
    let worth = (work / TASK_NANOSECONDS) as usize;
    let most = worth.min((work / passes * BYTES_A_NANOSECOND) as usize).max(worth.min(FEW_TASKS));
    let fit = SLOT_BYTES.checked_div(slots).unwrap_or(MOST_TASKS).min(MOST_TASKS);
    1 << most.min(fit).min(segment.samples).max(1).ilog2()
}

/// Bytes of the operands that are not cut: weights, above all.
fn whole_bytes(plan: &Layout, piece: &Piece) -> usize {
    let inputs = plan.graph.node(piece.node).inputs.iter().zip(&piece.sliced);
    inputs.filter(|(_, cut)| !**cut).map(|(&i, _)| plan.graph.spec(i).bytes()).sum()
}

/// Marks the sums that are larger than what they read of a chunk, so that the chunks of a span share the passes over
/// the sum; the length of the span, and the values that have to be kept for it.
fn defer(plan: &Layout, segment: &mut Segment, local: &[NodeId]) -> HashSet<NodeId> {
    let mut wide = HashSet::new();
    let mut chunks = 1;
    let share = segment.samples.div_ceil(segment.tasks);
    let all = segment.samples;
    for piece in segment.pieces.iter_mut().filter(|p| p.slots.is_some()) {
        let inputs = &plan.graph.node(piece.node).inputs;
        let read: Vec<NodeId> = inputs.iter().zip(&piece.sliced).filter(|(_, cut)| **cut).map(|(&i, _)| i).collect();
        let chunk: usize = segment.chunk * read.iter().map(|&i| plan.graph.spec(i).bytes() / all).sum::<usize>();
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
fn cuts(plan: &Layout, segment: &Segment) -> Vec<Cut> {
    let mut sizes: Vec<usize> = (0..segment.tasks)
        .map(|t| segment.share(t).len())
        .flat_map(|share| [segment.chunk, segment.span].map(|most| [share.min(most), share % most]))
        .flatten()
        .filter(|&n| n > 0)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let shape = |id: NodeId, cut: bool, samples: usize| segment.shape(plan.graph.shape(id), cut, samples);
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

fn most_scratch(plan: &Layout, segment: &Segment, cut: &Cut) -> usize {
    let of = |(i, piece): (usize, &Piece)| scratch(plan, piece.node, &cut.inputs[i], &cut.outputs[i]);
    segment.pieces.iter().enumerate().map(of).max().unwrap_or(0)
}

/// Floats of working memory for a node and operands of these shapes.
pub fn scratch(plan: &Layout, id: NodeId, inputs: &[Vec<usize>], output: &[usize]) -> usize {
    let Kind::Op(op) = &plan.graph.node(id).kind else { return 0 };
    let inputs: Vec<&[usize]> = inputs.iter().map(Vec::as_slice).collect();
    op.scratch(&inputs, output)
}
