//! Runs plans on a GPU through wgpu: Vulkan, Metal or DX12.
//!
//! A [`Device`] is [opened](open), and tested, once a process. Each engine has a [`Store`] on it: one array of words that holds its
//! states, data sets and what steps compute. Dispatches come from `tslip_lower`.
#![deny(unsafe_code)]

mod adapter;
mod addresses;
mod arena;
mod arithmetic;
mod backlog;
mod clock;
mod counters;
mod datasets;
mod device;
mod ending;
mod executable;
mod fate;
mod footprint;
mod heap;
mod inputs;
mod job;
mod kept;
mod lock;
mod peak;
mod pipelines;
mod plans;
mod readback;
mod readbacks;
mod registry;
mod request;
mod states;
mod store;
mod submissions;
mod words;

pub use adapter::{Adapter, Limits, adapters, check};
pub use arithmetic::Arithmetic;
pub use counters::{Counter, Counters, Gauge};
pub use device::Device;
pub use footprint::Footprint;
pub use job::{DeviceJob, SCALARS};
pub use peak::Peak;
pub use registry::{OpenDevice, open};
pub use request::{DevicePlan, Feed, States, Variation};
pub use store::Store;
