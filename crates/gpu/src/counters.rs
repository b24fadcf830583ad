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
}
