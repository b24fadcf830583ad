//! Time measured for each node while a plan runs.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::graph::NodeId;

/// Time that the nodes of one plan have taken, added up over the workers and the runs measured.
#[derive(Debug)]
pub struct Profile {
    nanoseconds: Vec<AtomicU64>,
    /// Time that the runs took.
    elapsed: AtomicU64,
    runs: AtomicU64,
}

impl Profile {
    /// Nothing measured yet, for a graph of so many nodes.
    pub fn new(nodes: usize) -> Self {
        let nanoseconds = (0..nodes).map(|_| AtomicU64::new(0)).collect();
        Profile { nanoseconds, elapsed: AtomicU64::new(0), runs: AtomicU64::new(0) }
    }

    /// Adds the time since `start` to a node.
    pub fn add(&self, node: NodeId, start: Instant) {
        self.nanoseconds[node].fetch_add(nanoseconds(start), Ordering::Relaxed);
    }

    /// Adds a run that began at `start` and has just ended.
    pub fn add_run(&self, start: Instant) {
        self.elapsed.fetch_add(nanoseconds(start), Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    /// Time of a node in one run, added up over the workers.
    pub fn of(&self, node: NodeId) -> Duration {
        self.mean(self.nanoseconds[node].load(Ordering::Relaxed))
    }

    /// Time from start to end of one run.
    pub fn elapsed(&self) -> Duration {
        self.mean(self.elapsed.load(Ordering::Relaxed))
    }

    fn mean(&self, nanoseconds: u64) -> Duration {
        Duration::from_nanos(nanoseconds / self.runs.load(Ordering::Relaxed).max(1))
    }
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
