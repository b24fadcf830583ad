//! Runs plans: parameter-only values first, then stage after stage, segments on all workers.
mod cache;
pub mod memory;
mod segment;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tslip_graph::plan::{Place, Plan, Profile, Stage};
use tslip_graph::{Alone, Call, Code, DType, Error, Kind, NodeId, Processes, Result, StateId, View, ViewMut};

use crate::simd::flush_to_zero;
use cache::Cache;
use memory::{Bytes, Region};

/// The memory behind the leaves of a graph. Each slice is aligned for its element type. A run asks for each once, and checks what
/// it is given.
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
    /// By node; no memory for what is no leaf.
    leaves: Vec<Region>,
    main: Region,
    parameter_only: Vec<Region>,
    profile: Option<&'a Profile>,
}

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
        let regions = leaf_regions(plan, leaves)?;
        let pool = crate::pool::pool();
        self.main.reserve(plan.main_bytes)?;
        self.workers.resize_with(pool.workers().max(1), Bytes::default);
        // Before any address is taken: memory that grows moves.
        self.workers.iter_mut().try_for_each(|worker| worker.reserve(plan.worker_bytes()))?;
        let workers: Vec<Region> = self.workers.iter_mut().map(Region::of).collect();
        let stale = self.cache.refresh(plan, leaves)?;
        let parameter_only = (plan.parameter_only.iter())
            .map(|value| self.cache.region(&plan.graph.node(value.node).fingerprint))
            .collect();
        let memory = Memory { plan, leaves: regions, main: Region::of(&mut self.main), parameter_only, profile };
        let scratch = workers[0];
        let whole = |node: NodeId| -> Result<()> {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::new(Code::Cancelled, "the run was cancelled"));
            }
            // SAFETY: all regions are of memory that this function borrows or owns, and neither resizes nor reads until it
            // returns. Outside of `segment::run` this thread alone is at work, with one node at a time.
            guarded(|| unsafe { memory.complete(node, scratch) })
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
                    // SAFETY: as for `complete`; the floats are the only operand there is while their sum is formed.
                    self.processes.sum(unsafe { memory.floats(node) }, cancel)
                })?,
                // SAFETY: as for `complete`; the segment is one of the plan, and `workers` are arenas of as many workers as the
                // pool has.
                Stage::Segment(segment) => unsafe { segment::run(&memory, segment, &workers, cancel) }?,
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
    /// The memory that a node's value is in, and the byte from which on; for a value of the chunk or span at hand `local` is the
    /// worker's.
    ///
    /// What lies where is decided by `Plan::new`, and a plan cannot be altered: values that are alive together are disjoint, each
    /// from before it is written until its last use. That an operand is inside its memory is checked as it is made.
    fn home(&self, node: NodeId, local: Region) -> (Region, usize) {
        match self.plan.places[node] {
            Place::Leaf => (self.leaves[node], 0),
            Place::Main(at) => (self.main, at),
            Place::Local(at) | Place::Span(at) => (local, at),
            Place::ParameterOnly(index) => (self.parameter_only[index], 0),
            Place::Unused => unreachable!("node {node} has no place"),
        }
    }

    /// Runs a node over complete tensors.
    ///
    /// # Safety
    /// The memory of all regions is there, and nobody else uses any of it before this returns.
    unsafe fn complete(&self, id: NodeId, scratch: Region) {
        let node = self.plan.graph.node(id);
        let Kind::Op(op) = &node.kind else { return };
        let inputs: Vec<View<'_>> = (node.inputs.iter())
            .map(|&i| {
                let spec = self.plan.graph.spec(i);
                let (home, at) = self.home(i, Region::NONE);
                // SAFETY: as the caller answers for; the plan gives an operand memory that is not the result's.
                View { shape: &spec.shape, data: unsafe { home.data(at, spec.len(), spec.dtype) } }
            })
            .collect();
        let (home, at) = self.home(id, Region::NONE);
        // SAFETY: as the caller answers for; the plan gives the result memory that is no operand's, none of it a leaf's, as this
        // is the value of an op. Scratch is memory of a worker, where no complete tensor is.
        let (output, scratch) = unsafe {
            if op.accumulates() {
                home.clear(at, node.spec.bytes());
            }
            (home.data_mut(at, node.spec.len(), node.spec.dtype), scratch.floats_mut(0, self.plan.scratch))
        };
        let call = Call { inputs: &inputs, output: ViewMut { shape: &node.spec.shape, data: output }, scratch };
        self.measured(id, || op.cpu(call));
    }

    /// The elements of a node over complete f32 tensors, after it was run.
    ///
    /// # Safety
    /// As for [`Memory::complete`], as long as they are in use.
    #[allow(clippy::mut_from_ref, reason = "the caller answers for it")]
    unsafe fn floats(&self, id: NodeId) -> &mut [f32] {
        let (spec, (home, at)) = (self.plan.graph.spec(id), self.home(id, Region::NONE));
        assert!(spec.dtype == DType::F32, "a sum over processes is one of floats, not {}", spec.dtype);
        // SAFETY: as the caller answers for; the value is an op's, whose memory is not a leaf's.
        unsafe { home.floats_mut(at, spec.len()) }
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

/// The memory of all leaves, by node. Refuses what does not fit their specs: everything after relies on it, and asks no leaf again.
fn leaf_regions(plan: &Plan, leaves: &dyn Leaves) -> Result<Vec<Region>> {
    let mut regions = vec![Region::NONE; plan.graph.nodes().len()];
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
        regions[id] = Region::to_read(bytes);
    }
    Ok(regions)
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
