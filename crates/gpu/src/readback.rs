//! Buffers through which the host reads what the device has computed.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use tslip_graph::{Code, DType, Error, Result};

use crate::device::Device;
use crate::heap::{Heap, Range};
use crate::words::narrowed;

/// A buffer that the device copies to and the host reads.
#[derive(Debug)]
pub struct Staging {
    buffer: wgpu::Buffer,
    used: usize,
}

fn buffer(device: &Device, words: usize) -> Result<wgpu::Buffer> {
    device.buffer("readback", 4 * words as u64, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
}

impl Staging {
    /// One for so many words.
    pub fn of(device: &Device, words: usize) -> Result<Self> {
        Ok(Staging { buffer: buffer(device, words)?, used: 0 })
    }

    /// As if nothing had been copied to it.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Words it has room for.
    pub fn room(&self) -> usize {
        (self.buffer.size() / 4) as usize - self.used
    }

    /// Copies a word behind those that it holds.
    pub fn copy(&mut self, encoder: &mut wgpu::CommandEncoder, heap: &Heap, at: usize) {
        encoder.copy_buffer_to_buffer(&heap.buffer, 4 * at as u64, &self.buffer, 4 * self.used as u64, Some(4));
        self.used += 1;
    }

    /// Takes out all floats, once the device has copied them.
    pub fn take(&mut self, device: &Device, cancel: &AtomicBool) -> Result<Vec<f32>> {
        let bytes = self.map(device, self.used, cancel)?;
        self.used = 0;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Copies ranges of the heap and hands over their elements.
    pub fn read(
        &mut self,
        device: &Device,
        heap: &Heap,
        wanted: &[(Range, DType)],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<u8>>> {
        let mut encoder = device.encoder();
        let mut at = 0;
        for (range, _) in wanted.iter().filter(|(range, _)| range.words > 0) {
            let (from, words) = (4 * range.at as u64, range.words as u64);
            encoder.copy_buffer_to_buffer(&heap.buffer, from, &self.buffer, 4 * at as u64, Some(4 * words));
            at += range.words;
        }
        device.submissions.submit(encoder, 0);
        let bytes = self.map(device, at, cancel)?;
        let mut rest = &bytes[..];
        let part = |&(range, dtype): &(Range, DType)| {
            let (own, others) = rest.split_at(4 * range.words);
            rest = others;
            narrowed(own, dtype)
        };
        Ok(wanted.iter().map(part).collect())
    }

    /// All bytes of a buffer that fits.
    pub fn copy_of(&mut self, device: &Device, of: &wgpu::Buffer, cancel: &AtomicBool) -> Result<Vec<u8>> {
        let mut encoder = device.encoder();
        encoder.copy_buffer_to_buffer(of, 0, &self.buffer, 0, Some(of.size()));
        device.submissions.submit(encoder, 0);
        self.map(device, (of.size() / 4) as usize, cancel)
    }

    /// The first words, once the device has written them.
    fn map(&mut self, device: &Device, words: usize, cancel: &AtomicBool) -> Result<Vec<u8>> {
        if words == 0 {
            return Ok(Vec::new());
        }
        let mapped = Arc::new(AtomicU8::new(WAITING));
        listen(device, &self.buffer, words, &mapped);
        // It may have been written before.
        device.submissions.look();
        let waited = device.submissions.wait(cancel, |_| mapped.load(Ordering::Acquire) != WAITING);
        let bytes = waited.and_then(|()| mapped_bytes(&self.buffer, words, &mapped));
        self.buffer.unmap();
        device.counters.bytes_to_host.add(4 * words as u64);
        bytes
    }
}

const WAITING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

fn listen(device: &Device, buffer: &wgpu::Buffer, words: usize, mapped: &Arc<AtomicU8>) {
    let (mapped, completions) = (mapped.clone(), device.submissions.completions());
    buffer.map_async(wgpu::MapMode::Read, ..4 * words as u64, move |result| {
        mapped.store(if result.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
        completions.notify();
    });
}

fn mapped_bytes(buffer: &wgpu::Buffer, words: usize, mapped: &AtomicU8) -> Result<Vec<u8>> {
    // Nothing else keeps a driver from showing a buffer that is ours; it may tell of the loss itself later.
    let failed = || {
        Error::new(
            Code::DeviceLost,
            "the GPU was lost while a value was read from it: load the last checkpoint and go on",
        )
    };
    if mapped.load(Ordering::Acquire) != MAPPED {
        return Err(failed());
    }
    let view = buffer.get_mapped_range(..4 * words as u64).map_err(|_| failed())?;
    Ok(view.to_vec())
}

/// A word of the device that is read without waiting for it.
#[derive(Debug)]
pub struct Flag {
    buffer: wgpu::Buffer,
    mapped: Arc<AtomicU8>,
}

impl Flag {
    /// One that waits for nothing.
    pub fn new(device: &Device) -> Result<Flag> {
        Ok(Flag { buffer: buffer(device, 1)?, mapped: Arc::default() })
    }

    /// Copies it after a step.
    pub fn copy(&self, encoder: &mut wgpu::CommandEncoder, heap: &Heap, at: usize) {
        encoder.copy_buffer_to_buffer(&heap.buffer, 4 * at as u64, &self.buffer, 0, Some(4));
    }

    /// Begins to wait, once the copy is submitted.
    pub fn listen(&mut self, device: &Device) {
        // What an earlier wait may still be told goes elsewhere.
        self.mapped = Arc::default();
        listen(device, &self.buffer, 1, &self.mapped);
    }

    /// Ends the wait.
    pub fn forget(&self) {
        self.buffer.unmap();
    }

    /// Whether it has arrived.
    pub fn is_known(&self) -> bool {
        self.mapped.load(Ordering::Acquire) != WAITING
    }

    /// Its value.
    pub fn take(&self, device: &Device) -> Result<u32> {
        let bytes = mapped_bytes(&self.buffer, 1, &self.mapped);
        self.buffer.unmap();
        device.counters.bytes_to_host.add(4);
        Ok(bytes?.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)))
    }
}
