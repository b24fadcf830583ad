//! Runs plans: parameter-only values first, then stage after stage, segments on all workers.
mod cache;
pub mod memory;
mod segment;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tslip_graph::plan::{Place, Plan, Profile, Stage};
use tslip_graph::{Alone, Call, Code, DType, DataMut, Error, Kind, NodeId, Processes, Result, StateId, View, ViewMut};

use crate::simd::flush_to_zero;
use cache::Cache;
use memory::{Bytes, data, data_mut};

/// The memory behind the leaves of a graph. Each slice is aligned for its element type.
pub trait Leaves: Sync {
    /// Bytes of an input of the run.
    fn input(&self, index: usize) -> &[u8];
    /// Bytes of a state.
    fn state(&self, id: StateId) -> &[u8];
    /// A number that grows whenever the state changes.
    fn version(&self, id: StateId) -> u64;
}

/// Memory for running plans, one after another; it grows to the largest need and is kept.
#[derive(Debug)]
pub struct Executor {
    processes: Arc<dyn Processes>,
    main: Bytes,
    /// For each worker a chunk's values, then working memory for kernels.
    workers: Vec<Bytes>,
    cache: Cache,
}

/// Where all values of a run are while it lasts.
struct Memory<'a> {
    plan: &'a Plan,
    leaves: &'a dyn Leaves,
    main: *mut u8,
    parameter_only: Vec<*mut u8>,
    profile: Option<&'a Profile>,
}

// SAFETY: a `Plan` is made by the planner alone and never altered, and the leaves have been checked to have the size of their
// specs: tasks of a segment write disjoint parts of `main` (their own slots and the rows of their own samples) and only read what
// earlier stages wrote; `parameter_only` is only read once segments run.
unsafe impl Sync for Memory<'_> {}

impl Default for Executor {
    /// Of a process alone.
    fn default() -> Self {
        Executor::new(Arc::new(Alone))
    }
}

impl Executor {
    /// Of one of these processes.
    pub fn new(processes: Arc<dyn Processes>) -> Self {
        Executor { processes, main: Bytes::default(), workers: Vec::new(), cache: Cache::default() }
    }

    /// Runs a plan. Values of its outputs and assigns can then be read until the next run. With a profile the time of
    /// each node is measured.
    ///
    /// # Errors
    /// `CANCELLED` when `cancel` was set, `INTERNAL` when a kernel panicked; states are untouched in either case.
    pub fn run(
        &mut self,
        plan: &Plan,
        leaves: &dyn Leaves,
        cancel: &AtomicBool,
        profile: Option<&Profile>,
    ) -> Result<()> {
        let start = profile.map(|_| Instant::now());
        let _mode = flush_to_zero();
        check_leaves(plan, leaves)?;
        let pool = crate::pool::pool();
        self.main.reserve(plan.main_bytes)?;
        self.workers.resize_with(pool.workers().max(1), Bytes::default);
        // Before any address is taken: memory that grows moves.
        self.workers.iter_mut().try_for_each(|worker| worker.reserve(plan.worker_bytes()))?;
        let workers: Vec<*mut u8> = self.workers.iter_mut().map(Bytes::base).collect();
        let stale = self.cache.refresh(plan, leaves)?;
        let parameter_only =
            plan.parameter_only.iter().map(|c| self.cache.pointer(&plan.graph.node(c.node).fingerprint)).collect();
        let memory = Memory { plan, leaves, main: self.main.base(), parameter_only, profile };
        let scratch = workers[0];
        let whole = |node: NodeId| -> Result<()> {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::new(Code::Cancelled, "the run was cancelled"));
            }
            guarded(|| memory.complete(node, scratch))
        };
        for node in needed(plan, &stale) {
            whole(node)?;
        }
        self.cache.commit(plan, leaves, &stale);
        for stage in &plan.stages {
            match stage {
                Stage::Whole(nodes) => nodes.iter().try_for_each(|&node| whole(node))?,
                Stage::ProcessSums(nodes) => nodes.iter().try_for_each(|&node| {
                    whole(node)?;
                    self.processes.sum(memory.floats(node), cancel)
                })?,
                Stage::Segment(segment) => segment::run(&memory, segment, &workers, cancel)?,
            }
        }
        if let (Some(profile), Some(start)) = (profile, start) {
            profile.add_run(start);
        }
        Ok(())
    }

    /// Whether all parameter-only values that a plan uses are known from earlier runs.
    pub fn knows(&self, plan: &Plan, leaves: &dyn Leaves) -> bool {
        self.cache.knows(plan, leaves)
    }

    /// The value of an output or assign of the plan that was run last.
    pub fn value<'a>(&'a self, plan: &Plan, leaves: &'a dyn Leaves, node: NodeId) -> &'a [u8] {
        match plan.places[node] {
            Place::Leaf => leaf(plan, leaves, node),
            _ => self.computed(plan, node),
        }
    }

    /// The same for a node that is no leaf.
    pub fn computed(&self, plan: &Plan, node: NodeId) -> &[u8] {
        let bytes = plan.graph.spec(node).bytes();
        match plan.places[node] {
            Place::Main(at) => &self.main.as_ref()[at..at + bytes],
            Place::ParameterOnly(_) => self.cache.value(&plan.graph.node(node).fingerprint),
            place => unreachable!("an output cannot be placed at {place:?}"),
        }
    }

    /// Drops what was cached for a state that is no more.
    pub fn forget(&mut self, id: StateId) {
        self.cache.forget(id);
    }
}

impl Memory<'_> {
    /// Address of a node's value; for a value of the chunk or span at hand `local` is the worker's arena.
    fn address(&self, node: NodeId, local: *mut u8) -> *mut u8 {
        // SAFETY: `Plan::new` places every value inside the arena that it belongs to, no safe code can alter a plan, and `run` has made
        // the arenas as large as the plan says.
        unsafe {
            match self.plan.places[node] {
                Place::Leaf => leaf(self.plan, self.leaves, node).as_ptr().cast_mut(),
                Place::Main(at) => self.main.add(at),
                Place::Local(at) | Place::Span(at) => local.add(at),
                Place::ParameterOnly(index) => self.parameter_only[index],
                Place::Unused => unreachable!("node {node} has no place"),
            }
        }
    }

    /// Runs a node over complete tensors.
    fn complete(&self, id: NodeId, scratch: *mut u8) {
        let node = self.plan.graph.node(id);
        let Kind::Op(op) = &node.kind else { return };
        let none = std::ptr::null_mut();
        let inputs: Vec<View<'_>> = (node.inputs.iter())
            .map(|&i| {
                let spec = self.plan.graph.spec(i);
                // SAFETY: the planner gives a value memory of its own from before it is written until its last use.
                View { shape: &spec.shape, data: unsafe { data(self.address(i, none), spec.len(), spec.dtype) } }
            })
            .collect();
        let at = self.address(id, none);
        // SAFETY: as above; no input shares memory with the output, and this is the only thread at work.
        let (output, scratch) = unsafe {
            if op.accumulates() {
                std::ptr::write_bytes(at, 0, node.spec.bytes());
            }
            let output = data_mut(at, node.spec.len(), node.spec.dtype);
            (output, std::slice::from_raw_parts_mut(scratch.cast(), self.plan.scratch))
        };
        let call = Call { inputs: &inputs, output: ViewMut { shape: &node.spec.shape, data: output }, scratch };
        self.measured(id, || op.cpu(call));
    }

    /// The elements of a node over complete f32 tensors, after it was run.
    #[allow(clippy::mut_from_ref)]
    fn floats(&self, id: NodeId) -> &mut [f32] {
        let spec = self.plan.graph.spec(id);
        // SAFETY: as in `complete`: the memory belongs to this value alone, and this is the only thread at work.
        match unsafe { data_mut(self.address(id, std::ptr::null_mut()), spec.len(), spec.dtype) } {
            DataMut::F32(values) => values,
            other => unreachable!("a sum over processes is one of floats, not {other:?}"),
        }
    }

    fn measured(&self, node: NodeId, run: impl FnOnce()) {
        let start = self.profile.map(|profile| (profile, Instant::now()));
        run();
        if let Some((profile, start)) = start {
            profile.add(node, start);
        }
    }
}

fn leaf<'a>(plan: &Plan, leaves: &'a dyn Leaves, node: NodeId) -> &'a [u8] {
    match plan.graph.node(node).kind {
        Kind::Input { index, .. } => leaves.input(index),
        Kind::State { id, .. } => leaves.state(id),
        Kind::Op(_) => unreachable!("an op is not a leaf"),
    }
}

/// Refuses leaves whose memory does not fit their specs: everything after relies on it.
fn check_leaves(plan: &Plan, leaves: &dyn Leaves) -> Result<()> {
    for (id, node) in plan.graph.nodes().iter().enumerate().filter(|(id, _)| plan.places[*id] == Place::Leaf) {
        let bytes = leaf(plan, leaves, id);
        let aligned = bytes.as_ptr().align_offset(align(node.spec.dtype)) == 0;
        if bytes.len() != node.spec.bytes() || !aligned {
            let (got, want) = (bytes.len(), node.spec.bytes());
            return Err(Error::argument(format!(
                "{:?} holds {got} bytes; its {} tensor of shape {:?} takes {want}",
                node.kind, node.spec.dtype, node.spec.shape
            )));
        }
    }
    Ok(())
}

fn align(dtype: DType) -> usize {
    dtype.size()
}

/// The nodes behind all stale parameter-only values, each once, in order.
fn needed(plan: &Plan, stale: &[usize]) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = stale.iter().flat_map(|&i| plan.parameter_only[i].needs.iter().copied()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// Turns a panic of a kernel into an error: the engine goes on.
fn guarded(run: impl FnOnce()) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|cause| {
        let text =
            cause.downcast_ref::<String>().cloned().or_else(|| cause.downcast_ref::<&str>().map(|s| s.to_string()));
        Error::internal(format!("a kernel panicked: {}", text.unwrap_or_else(|| "no message".into())))
    })
}
