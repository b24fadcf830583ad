//! Runs plans on a GPU through wgpu: Vulkan, Metal or DX12.
//!
//! A [`Device`] is open once a process. Each engine has a [`Store`] on it: one array of words that holds its states, data sets and
//! what steps compute. [`lower::Lowerings`] makes dispatches of a plan.
#![deny(unsafe_code)]

mod adapter;
mod arithmetic;
mod counters;
mod device;
mod ends;
mod feed;
mod footprint;
mod heap;
mod host;
mod line;
pub mod lower;
mod peak;
mod pipelines;
mod program;
mod readback;
mod reading;
mod residency;
mod store;
mod task;
pub mod wgsl;
mod words;

pub use adapter::{Adapter, Limits, adapters, check};
pub use arithmetic::Arithmetic;
pub use counters::{Counter, Counters, Gauge};
pub use device::Device;
pub use footprint::Footprint;
pub use peak::Peak;
pub use store::Store;
pub use task::{Feed, Run, States, Task, Variation};
