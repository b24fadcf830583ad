//! What goes wrong with a device: that it is lost, which its driver tells at any time, and what the driver says against a request.
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tslip_graph::{Code, Error, Result};

use crate::lock::locked;

/// Whether a device is lost, and why.
#[derive(Debug)]
pub struct Fate {
    adapter: String,
    lost: AtomicBool,
    message: Mutex<Option<String>>,
}

impl Fate {
    /// That of a device which works, on an adapter of this name.
    pub fn new(adapter: &str) -> Fate {
        Fate { adapter: adapter.to_string(), lost: AtomicBool::new(false), message: Mutex::new(None) }
    }

    /// The device is gone; the first reason is kept.
    pub fn lose(&self, why: impl Into<String>) {
        locked(&self.message).get_or_insert(why.into());
        self.lost.store(true, Ordering::Release);
    }

    /// Whether it is gone.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// `DEVICE_LOST` where it is gone.
    pub fn check(&self) -> Result<()> {
        if self.is_lost() { Err(self.lost()) } else { Ok(()) }
    }

    fn lost(&self) -> Error {
        let why = locked(&self.message).clone().unwrap_or_default();
        let name = &self.adapter;
        Error::new(
            Code::DeviceLost,
            format!(
                "the GPU {name} was lost ({why}), and with it what it had computed and nobody had read: load the last \
                 checkpoint and go on, on this device or with device \"cpu\""
            ),
        )
    }
}

/// What `run` gives, and what the driver says against it.
pub fn scoped<T>(handle: &wgpu::Device, run: impl FnOnce() -> T) -> (T, Option<wgpu::Error>) {
    use wgpu::ErrorFilter as Filter;
    let scopes = [Filter::Internal, Filter::Validation, Filter::OutOfMemory];
    let scopes = scopes.map(|filter| handle.push_error_scope(filter));
    let value = run();
    let errors = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop()));
    // All have to be popped.
    let error = errors.fold(None, |first: Option<wgpu::Error>, error| first.or(error));
    (value, error)
}
