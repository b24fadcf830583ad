//! Runs plans on a GPU through wgpu: Vulkan, Metal or DX12.
//!
//! A [`Device`] is open once a process. Each engine has a [`Store`] on it: one array of words that holds its states, data sets and
//! what steps compute. Dispatches come from `tslip_lower`.
#![deny(unsafe_code)]

mod adapter;
mod arithmetic;
mod counters;
mod device;
mod footprint;
mod heap;
mod line;
mod peak;
mod pipelines;
mod program;
mod readback;
mod reading;
mod residency;
mod store;
mod task;
mod words;

pub use adapter::{Adapter, Limits, adapters};
pub use arithmetic::Arithmetic;
pub use counters::{Counter, Counters, Gauge};
pub use device::Device;
pub use footprint::Footprint;
pub use peak::Peak;
pub use store::Store;
pub use task::{Feed, Run, States, Task, Variation};
