//! What the host reads values through, kept for the next time.
use std::sync::atomic::AtomicBool;
use tslip_graph::{DType, Result};

use crate::device::Device;
use crate::heap::{Heap, Range};
use crate::readback::{Flag, Staging};

/// Buffers for reading that are kept for the next time.
const MOST_STAGINGS: usize = 4;

/// Buffers and flags that nobody reads through now.
#[derive(Debug, Default)]
pub struct Readbacks {
    stagings: Vec<Staging>,
    flags: Vec<Flag>,
}

impl Readbacks {
    /// The smallest buffer that has room for so many words; a new one if none has.
    pub fn staging(&mut self, device: &Device, words: usize) -> Result<Staging> {
        let fits = (0..self.stagings.len()).filter(|&i| self.stagings[i].room() >= words);
        match fits.min_by_key(|&i| self.stagings[i].room()) {
            Some(index) => Ok(self.stagings.swap_remove(index)),
            None => Staging::of(device, words),
        }
    }

    /// Takes back a buffer, whatever it holds.
    pub fn give_back(&mut self, mut staging: Staging) {
        staging.clear();
        self.stagings.push(staging);
        self.stagings.truncate(MOST_STAGINGS);
    }

    /// A flag that waits for nothing.
    pub fn flag(&mut self, device: &Device) -> Result<Flag> {
        self.flags.pop().map_or_else(|| Flag::new(device), Ok)
    }

    /// Takes back a flag that waits for nothing.
    pub fn give_back_flag(&mut self, flag: Flag) {
        self.flags.push(flag);
    }

    /// The elements of ranges of the heap, after all that was submitted so far.
    pub fn read(
        &mut self,
        device: &Device,
        heap: &Heap,
        wanted: &[(Range, DType)],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<u8>>> {
        let words: usize = wanted.iter().map(|(range, _)| range.words).sum();
        let mut staging = self.staging(device, words)?;
        let values = staging.read(device, heap, wanted, cancel);
        if values.is_ok() {
            self.give_back(staging);
        }
        values
    }
}
