//! From a plan to dispatches, as data that any device could be given: views disappear into the indices of what reads them,
//! elementwise ops on equal shapes become one kernel, and kernels of one text that do not wait for each other share a dispatch.
//!
//! Every value has a level, the position of the dispatch that computes it. An elementwise op may have the level of an
//! operand, and then reads it from a register; any other op comes after its operands. Elementwise ops are then moved as
//! late as what uses them allows, which lets the updates of all parameters meet in the last dispatch.
#![forbid(unsafe_code)]

mod access;
mod build;
mod cost;
mod dispatch;
mod emit;
pub mod ends;
pub mod feed;
pub mod host;
mod levels;
mod lower;
mod memory;
mod value;
pub mod wgsl;

pub use dispatch::{Cost, Dispatch, Grid, Location, Word};
pub use lower::{Lowered, Lowerings, Variant};
