//! Runs plans on a GPU through wgpu: Vulkan, Metal or DX12.
//!
//! A [`Device`] is open once a process. Each engine has a [`Store`] on it: one array of words that holds its states, data sets and
//! what steps compute. [`lower::lower`] makes dispatches of a plan.
#![deny(unsafe_code)]

mod arithmetic;
mod counters;
mod device;
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
pub mod wgsl;
mod words;

pub use arithmetic::Arithmetic;
pub use counters::{Counter, Counters, Gauge};
pub use device::{Adapter, Device, Limits, adapters};
pub use footprint::Footprint;
pub use peak::Peak;
pub use store::{Feed, Run, States, Store, Task, Variation};
