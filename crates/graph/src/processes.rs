//! The seam to processes that take a step together, each with its share of the samples. Rust alone knows it: nobody joins processes
//! yet.
use std::fmt::Debug;
use std::sync::atomic::AtomicBool;

use crate::error::Result;

/// The processes of a training. A step of several is a sequence of phases: what each computes of its own samples, sums over all of
/// them, what each computes of those, and so on. All run plans of one graph for batches of one size, so that they come to the same sums
/// in the same order.
pub trait Processes: Debug + Send + Sync {
    /// How many they are.
    fn count(&self) -> usize;

    /// Replaces values by their sums over all processes, the same bits in each.
    ///
    /// # Errors
    /// Where another process is lost, and `CANCELLED` soon after `cancel` is set: the step then changes nothing. The engine does
    /// nothing else meanwhile.
    fn sum(&self, values: &mut [f32], cancel: &AtomicBool) -> Result<()>;
}

/// One process, whose values are the sums.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Processes for Alone {
    fn count(&self) -> usize {
        1
    }

    fn sum(&self, _values: &mut [f32], _cancel: &AtomicBool) -> Result<()> {
        Ok(())
    }
}
