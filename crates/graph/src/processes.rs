//! The seam to processes that take a step together, each with its share of the samples.
use std::fmt::Debug;

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
    /// Where a process is lost or cancelled: the step then changes nothing. It must not wait for ever.
    fn sum(&self, values: &mut [f32]) -> Result<()>;
}

/// One process, whose values are the sums.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Processes for Alone {
    fn count(&self) -> usize {
        1
    }

    fn sum(&self, _values: &mut [f32]) -> Result<()> {
        Ok(())
    }
}
