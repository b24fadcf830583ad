//! What has been asked of a device: what a step may cost is held to these by tests.
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts since the device was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Submissions of commands.
    pub submits: Counter,
    /// Kernels run.
    pub dispatches: Counter,
    /// Kernels compiled.
    pub pipelines: Counter,
    /// Bind groups made.
    pub bind_groups: Counter,
    /// Buffers made.
    pub buffers: Counter,
    /// Bytes that kernels of plans moved, each reading its operands and writing its results once.
    pub bytes_moved: Counter,
    /// Bytes that were copied to memory of the host.
    pub bytes_to_host: Counter,
    /// Bytes that came from the host.
    pub bytes_to_device: Counter,
    /// Words that tensors of all engines take now: states, inputs, data sets, and what steps compute.
    pub words_in_use: Gauge,
}
