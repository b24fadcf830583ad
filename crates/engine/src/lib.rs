//! States, data sets, jobs and loops: what runs plans.
//!
//! An [`Engine`] owns a thread. Plans and states are made by the caller's thread at once; jobs go to the engine's thread
//! in order and give way to one another after each step.
#![forbid(unsafe_code)]

mod backend;
mod buffers;
mod compile;
mod dataset;
mod engine;
mod exact;
mod executors;
mod job;
mod on_cpu;
mod on_gpu;
mod request;
mod state;
mod step;
mod table;

pub use compile::{GraphDescription, build, compile};
pub use dataset::Dataset;
pub use engine::{Engine, PlanInfo};
pub use request::{DatasetFeed, Done, JobRequest, OnProgress, RunResult, StretchRequest, TableRequest, UntilRequest};
pub use state::State;
pub use tslip_cpu::executor::memory::Bytes;
