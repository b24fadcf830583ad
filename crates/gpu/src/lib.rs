//! Runs plans on a GPU through wgpu: Vulkan, Metal or DX12.
//!
//! A [`Device`] is [opened](open), and tested, once a process. Each engine has a [`Store`] on it: one array of words that holds its states, data sets and
//! what steps compute. Dispatches come from `tslip_lower`.
#![deny(unsafe_code)]

mod adapter;
mod arithmetic;
mod clock;
mod counters;
mod device;
mod executable;
mod fate;
mod footprint;
mod heap;
mod lock;
mod peak;
mod pipelines;
mod readback;
mod reading;
mod registry;
mod residency;
mod store;
mod submissions;
mod task;
mod words;

pub use adapter::{Adapter, Limits, adapters};
pub use arithmetic::Arithmetic;
pub use counters::{Counter, Counters, Gauge};
pub use device::Device;
pub use footprint::Footprint;
pub use peak::Peak;
pub use registry::{OpenDevice, open};
pub use store::Store;
pub use task::{Feed, Run, States, Task, Variation};
