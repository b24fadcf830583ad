//! The one array in which all tensors of an engine lie, and which of its words are taken.
use std::sync::Arc;
use tslip_graph::Result;

use crate::device::Device;

/// Words of which every range is a multiple: a cache line, and the alignment of copies.
const ALIGN: usize = 64;
/// Bytes that are sent at once.
const PIECE: usize = 32 << 20;
/// Words of a heap that has just been made.
const FIRST: usize = 1 << 18;

/// Words that belong to someone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first word.
    pub at: usize,
    /// How many.
    pub words: usize,
}

/// Ranges of words in use, in order; the lowest gap that is large enough is taken.
#[derive(Debug, Default)]
struct Ranges(Vec<Range>);

impl Ranges {
    /// A range below `limit`, if there is room.
    fn take(&mut self, words: usize, limit: usize) -> Option<Range> {
        let words = words.max(1).next_multiple_of(ALIGN);
        let mut at = 0;
        let mut index = 0;
        for taken in &self.0 {
            if at + words <= taken.at {
                break;
            }
            at = taken.at + taken.words;
            index += 1;
        }
        (at + words <= limit).then(|| {
            let range = Range { at, words };
            self.0.insert(index, range);
            range
        })
    }

    /// Lets a range go; how many words that were.
    fn give_back(&mut self, range: Range) -> usize {
        let taken = self.0.iter().position(|taken| taken.at == range.at);
        taken.map_or(0, |index| self.0.remove(index).words)
    }
}

/// The array.
#[derive(Debug)]
pub struct Heap {
    device: Arc<Device>,
    /// Its buffer; another after it has grown.
    pub buffer: wgpu::Buffer,
    words: usize,
    ranges: Ranges,
    /// Grows whenever the buffer is replaced.
    pub epoch: u64,
    /// Grows whenever words are taken: what was known of where things are may be wrong then.
    pub layout: u64,
}

impl Heap {
    /// A small heap.
    pub fn new(device: Arc<Device>) -> Result<Heap> {
        let buffer = Heap::buffer(&device, FIRST)?;
        Ok(Heap { device, buffer, words: FIRST, ranges: Ranges::default(), epoch: 0, layout: 0 })
    }

    fn buffer(device: &Device, words: usize) -> Result<wgpu::Buffer> {
        use wgpu::BufferUsages as Usage;
        device.buffer("heap", 4 * words as u64, Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST)
    }

    /// Words for someone, holding anything.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` where the device has no more, or none that one kernel could reach.
    pub fn take(&mut self, words: usize) -> Result<Range> {
        self.layout += 1;
        let range = match self.ranges.take(words, self.words) {
            Some(range) => range,
            None => self.take_grown(words)?,
        };
        self.device.counters.words_in_use.add(range.words as u64);
        Ok(range)
    }

    /// Words that there is no room for yet.
    fn take_grown(&mut self, words: usize) -> Result<Range> {
        let most = (self.device.adapter.heap_bytes / 4) as usize;
        let end = self.ranges.0.last().map_or(0, |range| range.at + range.words);
        let needed = end + words.max(1).next_multiple_of(ALIGN);
        if needed > most {
            return Err(self.device.out_of_memory(4 * words as u64, 4 * self.used() as u64));
        }
        self.grow(needed.next_power_of_two().min(most)).or_else(|_| self.grow(needed))?;
        Ok(self.ranges.take(words, self.words).unwrap_or_else(|| unreachable!("the heap has grown for it")))
    }

    /// Gives words back; commands under way still see them.
    pub fn give_back(&mut self, range: Range) {
        let words = self.ranges.give_back(range);
        self.device.counters.words_in_use.subtract(words as u64);
    }

    /// Gives back the words of something that is not kept; whether it is, for `retain`.
    pub fn keep_if(&mut self, kept: bool, ranges: &[Range]) -> bool {
        if !kept {
            ranges.iter().for_each(|&range| self.give_back(range));
        }
        kept
    }

    /// Words that are taken.
    pub fn used(&self) -> usize {
        self.ranges.0.iter().map(|range| range.words).sum()
    }

    fn grow(&mut self, words: usize) -> Result<()> {
        let buffer = Heap::buffer(&self.device, words)?;
        let mut encoder = self.device.encoder();
        encoder.copy_buffer_to_buffer(&self.buffer, 0, &buffer, 0, Some(4 * self.words as u64));
        self.device.submissions.submit(encoder, 0);
        (self.buffer, self.words) = (buffer, words);
        self.epoch += 1;
        self.device.check()
    }

    /// Sets words, after the commands submitted before.
    pub fn write(&self, range: Range, bytes: &[u8]) {
        let at = 4 * range.at as u64;
        self.device.counters.bytes_to_device.add(bytes.len() as u64);
        for (index, piece) in bytes.chunks(PIECE).enumerate() {
            if index > 0 {
                // What was copied to be sent is let go of piece by piece.
                self.device.submissions.submit(self.device.encoder(), 0);
            }
            self.device.queue.write_buffer(&self.buffer, at + (index * PIECE) as u64, piece);
        }
    }

    /// Words that hold so many bytes, four each.
    pub fn upload(&mut self, bytes: &[u8]) -> Result<Range> {
        let range = self.take(bytes.len().div_ceil(4))?;
        let whole = bytes.len() / 4 * 4;
        self.write(range, &bytes[..whole]);
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.write(Range { at: range.at + whole / 4, words: 1 }, &last);
        }
        Ok(range)
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.device.counters.words_in_use.subtract(self.used() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_overlap_and_gaps_are_used_again() {
        let mut ranges = Ranges::default();
        let a = ranges.take(100, 1024).unwrap();
        let b = ranges.take(64, 1024).unwrap();
        let c = ranges.take(1, 1024).unwrap();
        assert_eq!((a.at, b.at, c.at, a.words), (0, 128, 192, 128));
        assert_eq!(ranges.give_back(b), 64);
        assert_eq!(ranges.give_back(b), 0);
        assert_eq!(ranges.take(65, 1024).unwrap().at, 256);
        assert_eq!(ranges.take(64, 1024).unwrap().at, 128);
        assert_eq!(ranges.take(1024, 1024), None);
    }
}
