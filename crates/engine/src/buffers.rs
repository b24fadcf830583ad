//! Memory of inputs, kept from job to job: the first touch of fresh memory takes longer than the copy into it.
use std::sync::{Mutex, MutexGuard, PoisonError};
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::Result;

/// What is kept, at most: some ten thousand images of 28 x 28 floats.
const MOST_BYTES: usize = 32 << 20;
/// How many buffers are kept, at most.
const MOST_BUFFERS: usize = 16;
/// A buffer is used for inputs down to this part of it.
const LEAST_PART: usize = 4;

/// Buffers that no job uses; those given back last come last.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Bytes>>);

impl Buffers {
    /// A buffer of `len` bytes of any content: the smallest one kept that fits, or else a new one.
    pub fn take(&self, len: usize) -> Result<Bytes> {
        let mut kept = self.kept();
        let fits = |b: &Bytes| (len..=len.max(64) * LEAST_PART).contains(&b.capacity());
        let best = (0..kept.len()).filter(|&i| fits(&kept[i])).min_by_key(|&i| kept[i].capacity());
        let mut buffer = best.map_or_else(Bytes::default, |i| kept.remove(i));
        drop(kept);
        buffer.resize(len)?;
        Ok(buffer)
    }

    /// A copy of `bytes` in a buffer.
    pub fn copy_of(&self, bytes: &[u8]) -> Result<Bytes> {
        let mut buffer = self.take(bytes.len())?;
        buffer.as_mut().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// Takes buffers back; what is then too much is freed, that of longest ago first.
    pub fn give_back(&self, buffers: impl IntoIterator<Item = Bytes>) {
        let mut kept = self.kept();
        kept.extend(buffers.into_iter().filter(|b| (1..=MOST_BYTES).contains(&b.capacity())));
        while kept.len() > MOST_BUFFERS || kept.iter().map(Bytes::capacity).sum::<usize>() > MOST_BYTES {
            kept.remove(0);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(bytes: &Bytes) -> *const u8 {
        bytes.as_ref().as_ptr()
    }

    #[test]
    fn a_buffer_given_back_serves_inputs_of_about_its_size() {
        let buffers = Buffers::default();
        let first = buffers.copy_of(&[7; 4000]).expect("memory");
        let at = address(&first);
        buffers.give_back([first]);
        let second = buffers.copy_of(&[8; 3000]).expect("memory");
        assert_eq!((address(&second), second.as_ref()), (at, &[8; 3000][..]));
        buffers.give_back([second]);
        assert_eq!(buffers.take(5000).expect("memory").as_ref().len(), 5000);
        assert_eq!(buffers.take(100).expect("memory").as_ref().len(), 100);
        assert_eq!(buffers.kept().len(), 1, "neither a larger nor a far smaller one takes it");
    }

    #[test]
    fn the_smallest_that_fits_is_taken() {
        let buffers = Buffers::default();
        buffers.give_back([4096, 2048, 3072].map(|len| Bytes::zeroed(len).expect("memory")));
        assert_eq!(buffers.take(2000).expect("memory").capacity(), 2048);
        assert_eq!(buffers.take(2000).expect("memory").capacity(), 3072);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let buffers = Buffers::default();
        for len in [MOST_BYTES + 64, MOST_BYTES / 2, MOST_BYTES / 2, MOST_BYTES / 4, 0] {
            buffers.give_back([Bytes::zeroed(len).expect("memory")]);
        }
        let sizes: Vec<usize> = buffers.kept().iter().map(Bytes::capacity).collect();
        assert_eq!(sizes, [MOST_BYTES / 2, MOST_BYTES / 4]);
        (0..100).for_each(|_| buffers.give_back([Bytes::zeroed(64).expect("memory")]));
        assert_eq!(buffers.kept().len(), MOST_BUFFERS);
    }
}
