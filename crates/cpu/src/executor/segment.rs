//! Runs a segment: tasks on all workers, each a chunk of samples after another, then the slots of sums are added up.
use std::sync::atomic::{AtomicBool, Ordering};
use tslip_graph::plan::{Place, Segment};
use tslip_graph::{Call, Code, DType, Error, Kind, Result, View, ViewMut};

use super::Memory;
use super::memory::Region;

/// Elements of a sum that one task adds up over the slots.
const ADD_BLOCK: usize = 16 * 1024;

/// Runs a segment of the memory's plan; `workers` are arenas of `Plan::worker_bytes` each, one for each worker of the pool.
///
/// # Safety
/// The memory of all regions is there, and nobody else uses any of it before this returns.
pub unsafe fn run(memory: &Memory<'_>, segment: &Segment, workers: &[Region], cancel: &AtomicBool) -> Result<()> {
    let pool = crate::pool::pool();
    pool.run(segment.tasks, &|task, worker| {
        // A worker's own: it runs one task of this call at a time.
        let [local, scratch] = workers[worker].split(segment.local_bytes);
        // SAFETY: as the caller answers for, but for the other tasks. Slot `task` is this one's own.
        unsafe { clear_slots(memory, segment, task) };
        let samples = segment.share(task);
        for span in samples.clone().step_by(segment.span) {
            let end = samples.end.min(span + segment.span);
            for start in (span..end).step_by(segment.chunk) {
                if cancel.load(Ordering::Relaxed) {
                    return;
                }
                let samples = segment.chunk.min(end - start);
                // SAFETY: as above; the samples are of this task's share, and `local` and `scratch` are this worker's arena.
                unsafe { pieces(memory, segment, At { task, span, start, samples, local, scratch }, false) };
            }
            // SAFETY: as above.
            unsafe {
                pieces(memory, segment, At { task, span, start: span, samples: end - span, local, scratch }, true)
            };
        }
    })
    .map_err(|message| Error::internal(format!("a kernel panicked: {message}")))?;
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::new(Code::Cancelled, "the run was cancelled"));
    }
    // SAFETY: as the caller answers for: all tasks are done.
    unsafe { add_slots(memory, segment) }
}

fn slot_bytes(memory: &Memory<'_>, node: usize) -> usize {
    memory.plan.graph.spec(node).bytes().next_multiple_of(64)
}

/// Sets the slots of a task to zero.
///
/// # Safety
/// As for [`run`], while other tasks use their own slots.
unsafe fn clear_slots(memory: &Memory<'_>, segment: &Segment, task: usize) {
    for piece in &segment.pieces {
        if let Some(slots) = piece.slots {
            let bytes = slot_bytes(memory, piece.node);
            // SAFETY: as the caller answers for; slots follow each other, each of this size, and no other task writes this one.
            unsafe { memory.main.clear(slots + task * bytes, bytes) };
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
    /// The worker's arena: values, and working memory of kernels.
    local: Region,
    scratch: Region,
}

/// Runs the pieces that are deferred, or those that are not, on the samples at hand.
///
/// # Safety
/// As for [`run`], while other tasks are at work with samples and slots of their own, and arenas of other workers.
unsafe fn pieces(memory: &Memory<'_>, segment: &Segment, at: At, deferred: bool) {
    let Some(cut) = segment.cuts.iter().find(|c| c.samples == at.samples) else { return };
    let (plan, graph, At { task, span, start, local, scratch, .. }) = (memory.plan, &memory.plan.graph, at);
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
            let (home, at) = memory.home(input, local);
            // SAFETY: as the caller answers for. What is cut are rows of this task's samples, which no other task writes, or of
            // this worker's arena; what is whole, no piece of the segment writes. The plan gives an operand memory that is not
            // the result's.
            let data = unsafe { home.data(at + skip, len, graph.spec(input).dtype) };
            views.push(View { shape, data });
        }
        let shape = &cut.outputs[index];
        let len = shape.iter().product::<usize>();
        let (home, at) = match piece.slots {
            Some(slots) => (memory.main, slots + task * slot_bytes(memory, piece.node)),
            None => {
                let (home, at) = memory.home(piece.node, local);
                (home, at + rows(piece.node))
            }
        };
        // SAFETY: as the caller answers for. The result is this task's slot, rows of its samples, or in this worker's arena; the
        // plan gives it memory that is no operand's, none of it a leaf's, as it is the value of an op. Scratch lies apart from
        // the arena's values, and no other kernel of this worker runs.
        let (data, scratch) = unsafe {
            if op.accumulates() && piece.slots.is_none() {
                home.clear(at, len * node.spec.dtype.size());
            }
            (home.data_mut(at, len, node.spec.dtype), scratch.floats_mut(0, segment.scratch))
        };
        let call = Call { inputs: &views, output: ViewMut { shape, data }, scratch };
        memory.measured(piece.node, || op.cpu(call));
    }
}

/// Adds up the slots of every sum in the order of the tasks, which does not depend on who ran them.
///
/// # Safety
/// As for [`run`], when all tasks are done.
unsafe fn add_slots(memory: &Memory<'_>, segment: &Segment) -> Result<()> {
    for piece in &segment.pieces {
        let Some(slots) = piece.slots else { continue };
        let spec = memory.plan.graph.spec(piece.node);
        if spec.dtype != DType::F32 {
            return Err(Error::internal(format!("a sum over samples is one of floats, not {}", spec.dtype)));
        }
        let (bytes, len) = (slot_bytes(memory, piece.node), spec.len());
        let blocks = len.div_ceil(ADD_BLOCK);
        let (home, at) = memory.home(piece.node, Region::NONE);
        let add = |block: usize, _worker: usize| {
            let from = block * ADD_BLOCK;
            let count = ADD_BLOCK.min(len - from);
            let skip = from * size_of::<f32>();
            // SAFETY: as the caller answers for: slots are only read by now, and other blocks are other parts of the result,
            // which the plan keeps apart from the slots.
            unsafe {
                let slot = |task: usize| memory.main.floats(slots + task * bytes + skip, count);
                let to = home.floats_mut(at + skip, count);
                to.copy_from_slice(slot(0));
                for task in 1..segment.tasks {
                    to.iter_mut().zip(slot(task)).for_each(|(sum, part)| *sum += part);
                }
            }
        };
        crate::pool::pool().run(blocks, &add).map_err(|m| Error::internal(format!("adding up slots panicked: {m}")))?;
    }
    Ok(())
}
