//! Runs a segment: tasks on all workers, each a chunk of samples after another, then the slots of sums are added up.
use std::sync::atomic::{AtomicBool, Ordering};
use tslip_graph::plan::{Place, Segment};
use tslip_graph::{Call, Code, Error, Kind, Result, View, ViewMut};

use super::Memory;
use super::memory::{data, data_mut};

/// Elements of a sum that one task adds up over the slots.
const ADD_BLOCK: usize = 16 * 1024;

/// Arenas of the workers, handed out by worker index.
struct Arenas<'a>(&'a [*mut u8]);

// SAFETY: the pool runs at most one task at a time under a worker index, and only that task uses that arena.
unsafe impl Sync for Arenas<'_> {}

impl Arenas<'_> {
    fn of(&self, worker: usize) -> *mut u8 {
        self.0[worker]
    }
}

/// Runs a segment; `workers` are arenas of `Plan::worker_bytes` each.
pub fn run(memory: &Memory<'_>, segment: &Segment, workers: &[*mut u8], cancel: &AtomicBool) -> Result<()> {
    let arenas = &Arenas(workers);
    let pool = crate::pool::pool();
    pool.run(segment.tasks, &|task, worker| {
        let local = arenas.of(worker);
        clear_slots(memory, segment, task);
        let samples = segment.share(task);
        for span in samples.clone().step_by(segment.span) {
            let end = samples.end.min(span + segment.span);
            for start in (span..end).step_by(segment.chunk) {
                if cancel.load(Ordering::Relaxed) {
                    return;
                }
                let samples = segment.chunk.min(end - start);
                pieces(memory, segment, At { task, span, start, samples, local }, false);
            }
            pieces(memory, segment, At { task, span, start: span, samples: end - span, local }, true);
        }
    })
    .map_err(|message| Error::internal(format!("a kernel panicked: {message}")))?;
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::new(Code::Cancelled, "the run was cancelled"));
    }
    add_slots(memory, segment)
}

fn slot_bytes(memory: &Memory<'_>, node: usize) -> usize {
    memory.plan.graph.spec(node).bytes().next_multiple_of(64)
}

fn clear_slots(memory: &Memory<'_>, segment: &Segment, task: usize) {
    for piece in &segment.pieces {
        if let Some(slots) = piece.slots {
            let bytes = slot_bytes(memory, piece.node);
            // SAFETY: the planner reserved `tasks` slots of this size, and slot `task` is this task's own.
            unsafe { std::ptr::write_bytes(memory.main.add(slots + task * bytes), 0, bytes) };
        }
    }
}

/// The samples at hand.
#[derive(Clone, Copy)]
struct At {
    task: usize,
    /// First sample of the span.
    span: usize,
    /// First sample of the chunk, or of the span where that is at hand as a whole.
    start: usize,
    samples: usize,
    /// The worker's arena.
    local: *mut u8,
}

/// Runs the pieces that are deferred, or those that are not, on the samples at hand.
fn pieces(memory: &Memory<'_>, segment: &Segment, at: At, deferred: bool) {
    let Some(cut) = segment.cuts.iter().find(|c| c.samples == at.samples) else { return };
    let (plan, graph, At { task, span, start, local, .. }) = (memory.plan, &memory.plan.graph, at);
    let sample_bytes = |node: usize| graph.spec(node).bytes() / segment.samples;
    // Values of the chunk itself begin where they are placed; of all others the chunk is a part.
    let rows = |node: usize| match plan.places[node] {
        Place::Local(_) => 0,
        Place::Span(_) => (start - span) * sample_bytes(node),
        _ => start * sample_bytes(node),
    };
    let mut views: Vec<View<'_>> = Vec::with_capacity(8);
    for (index, piece) in segment.pieces.iter().enumerate().filter(|(_, p)| p.deferred == deferred) {
        let node = graph.node(piece.node);
        let Kind::Op(op) = &node.kind else { continue };
        views.clear();
        for ((&input, &cut_here), shape) in node.inputs.iter().zip(&piece.sliced).zip(&cut.inputs[index]) {
            let skip = if cut_here { rows(input) } else { 0 };
            let len = shape.iter().product();
            // SAFETY: rows of the samples at hand lie inside the value; the planner gives a value memory of its own
            // from before it is written until its last use, and other tasks write other rows.
            let data = unsafe { data(memory.address(input, local).add(skip), len, graph.spec(input).dtype) };
            views.push(View { shape, data });
        }
        let shape = &cut.outputs[index];
        // SAFETY: a slot is this task's own, as are the rows of its samples and the worker's arena; scratch follows
        // the values of the chunk, and every kernel gets all of it.
        let (data, scratch) = unsafe {
            let at = match piece.slots {
                Some(slots) => memory.main.add(slots + task * slot_bytes(memory, piece.node)),
                None => memory.address(piece.node, local).add(rows(piece.node)),
            };
            let len = shape.iter().product::<usize>();
            if op.accumulates() && piece.slots.is_none() {
                std::ptr::write_bytes(at, 0, len * node.spec.dtype.size());
            }
            let scratch = std::slice::from_raw_parts_mut(local.add(segment.local_bytes).cast(), segment.scratch);
            (data_mut(at, len, node.spec.dtype), scratch)
        };
        let call = Call { inputs: &views, output: ViewMut { shape, data }, scratch };
        memory.measured(piece.node, || op.cpu(call));
    }
}

/// Adds up the slots of every sum in the order of the tasks, which does not depend on who ran them.
fn add_slots(memory: &Memory<'_>, segment: &Segment) -> Result<()> {
    for piece in &segment.pieces {
        let Some(slots) = piece.slots else { continue };
        let (bytes, len) = (slot_bytes(memory, piece.node), memory.plan.graph.spec(piece.node).len());
        let blocks = len.div_ceil(ADD_BLOCK);
        let add = |block: usize, _worker: usize| {
            let from = block * ADD_BLOCK;
            let count = ADD_BLOCK.min(len - from);
            // SAFETY: all tasks are done; blocks are disjoint parts of the result, and slots are only read.
            unsafe {
                let at = |task: usize| memory.main.add(slots + task * bytes).cast::<f32>().add(from);
                let to = memory.address(piece.node, std::ptr::null_mut()).cast::<f32>().add(from);
                let to = std::slice::from_raw_parts_mut(to, count);
                to.copy_from_slice(std::slice::from_raw_parts(at(0), count));
                for task in 1..segment.tasks {
                    let slot = std::slice::from_raw_parts(at(task), count);
                    to.iter_mut().zip(slot).for_each(|(sum, part)| *sum += part);
                }
            }
        };
        crate::pool::pool().run(blocks, &add).map_err(|m| Error::internal(format!("adding up slots panicked: {m}")))?;
    }
    Ok(())
}
