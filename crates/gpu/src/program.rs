//! A lowered plan with its kernels compiled and its tables in buffers: what a step only has to encode.
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tslip_graph::Result;
use tslip_lower::{Location, Lowered, Word};

use crate::device::Device;
use crate::heap::Heap;
use crate::readback::Staging;

/// Workgroups along one axis of a grid.
const WIDEST: usize = 65535;
/// Distance of one dispatch's uniforms to the next.
const SLOT: u64 = 256;

/// A lowered plan, ready to run.
#[derive(Debug)]
pub struct Program {
    /// What it was made from.
    pub lowered: Lowered,
    kernels: Vec<Kernel>,
    table: wgpu::Buffer,
    words: Vec<Word>,
    uniforms: wgpu::Buffer,
    bound: Option<(u64, wgpu::BindGroup)>,
    /// The layout of memory for which the table was written.
    written: Option<u64>,
}

#[derive(Debug)]
struct Kernel {
    pipeline: Arc<wgpu::ComputePipeline>,
    workgroups: (u32, u32),
}

impl Kernel {
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>, bound: &wgpu::BindGroup, index: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bound, &[(index as u64 * SLOT) as u32]);
        pass.dispatch_workgroups(self.workgroups.0, self.workgroups.1, 1);
    }
}

/// Timestamps around each dispatch of a program.
#[derive(Debug)]
pub struct Clock {
    /// Each for as many dispatches as one has room for.
    queries: Vec<wgpu::QuerySet>,
    buffer: wgpu::Buffer,
    count: usize,
}

/// Bytes of a timestamp.
const TIMESTAMP: usize = 8;
/// Dispatches of a query set, with two timestamps each.
const TIMED: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

impl Clock {
    /// Room for the dispatches of a program.
    pub fn new(device: &Device, program: &Program) -> Result<Clock> {
        use wgpu::BufferUsages as Usage;
        let count = 2 * program.kernels.len();
        let set = |kernels: &[Kernel]| {
            device.handle.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("tslip"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * kernels.len() as u32,
            })
        };
        let queries = program.kernels.chunks(TIMED).map(set).collect();
        let bytes = (TIMESTAMP * count) as u64;
        let buffer = device.buffer("timestamps", bytes, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?;
        Ok(Clock { queries, buffer, count })
    }

    /// Milliseconds of each dispatch of the program that was submitted last.
    pub fn read(&self, device: &Device, cancel: &AtomicBool) -> Result<Vec<f64>> {
        let bytes = Staging::of(device, TIMESTAMP / 4 * self.count)?.copy_of(device, &self.buffer, cancel)?;
        let ticks: Vec<u64> =
            bytes.chunks_exact(TIMESTAMP).map(|b| b.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))).collect();
        let period = f64::from(device.queue.get_timestamp_period());
        Ok(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period / 1e6).collect())
    }
}

impl Program {
    /// Compiles the kernels.
    pub fn new(device: &Device, lowered: Lowered) -> Result<Program> {
        // Whether the job has ended: it has not.
        let mut words = vec![Word::Plain(0)];
        let (mut uniforms, mut kernels) = (Vec::new(), Vec::new());
        for dispatch in &lowered.dispatches {
            let start = words.len();
            let mut at = start + 2 * dispatch.grids.len();
            let mut end = 0;
            for grid in &dispatch.grids {
                end += grid.groups;
                words.extend([Word::Plain(end as u32), Word::Plain(at as u32)]);
                at += grid.words.len();
            }
            dispatch.grids.iter().for_each(|grid| words.extend(&grid.words));
            let workgroups = (end.min(WIDEST), end.div_ceil(WIDEST));
            let mut slot =
                [start as u32, dispatch.grids.len() as u32, workgroups.0 as u32, 0].map(u32::to_le_bytes).concat();
            slot.resize(SLOT as usize, 0);
            uniforms.extend(slot);
            let pipeline = device.pipeline(&dispatch.name, &dispatch.text)?;
            kernels.push(Kernel { pipeline, workgroups: (workgroups.0 as u32, workgroups.1 as u32) });
        }
        use wgpu::BufferUsages as Usage;
        let table = device.buffer("table", 4 * words.len() as u64, Usage::STORAGE | Usage::COPY_DST)?;
        let buffer = device.buffer("uniforms", uniforms.len() as u64, Usage::UNIFORM | Usage::COPY_DST)?;
        if !uniforms.is_empty() {
            device.queue.write_buffer(&buffer, 0, &uniforms);
        }
        Ok(Program { lowered, kernels, table, words, uniforms: buffer, bound: None, written: None })
    }

    /// Brings table and bind group up to date with the layout of memory, which is known by a number.
    pub fn prepare(&mut self, device: &Device, heap: &Heap, layout: u64, at: impl Fn(Location) -> usize) {
        if self.written != Some(layout) {
            let resolve = |word: &Word| match *word {
                Word::Plain(word) => word,
                Word::At(location, offset) => (at(location) + offset) as u32,
            };
            let bytes: Vec<u8> = self.words.iter().flat_map(|word| resolve(word).to_le_bytes()).collect();
            if !bytes.is_empty() {
                device.counters.bytes_to_device.add(bytes.len() as u64);
                device.queue.write_buffer(&self.table, 0, &bytes);
            }
            self.written = Some(layout);
        }
        if self.bound.as_ref().is_none_or(|(epoch, _)| *epoch != heap.epoch) {
            device.counters.bind_groups.add(1);
            self.bound = Some((heap.epoch, self.bind(device, heap)));
        }
    }

    fn bind(&self, device: &Device, heap: &Heap) -> wgpu::BindGroup {
        let one = wgpu::BufferBinding { buffer: &self.uniforms, offset: 0, size: std::num::NonZeroU64::new(16) };
        device.handle.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tslip"),
            layout: &device.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(one) },
                wgpu::BindGroupEntry { binding: 1, resource: self.table.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 2, resource: heap.buffer.as_entire_binding() },
            ],
        })
    }

    /// Lets kernels do nothing where a word of the heap is not 0.
    pub fn gate(&self, encoder: &mut wgpu::CommandEncoder, heap: &Heap, at: usize) {
        encoder.copy_buffer_to_buffer(&heap.buffer, 4 * at as u64, &self.table, 0, Some(4));
    }

    /// Adds all dispatches, each in a pass of its own between two timestamps.
    pub fn encode_timed(&self, device: &Device, encoder: &mut wgpu::CommandEncoder, clock: &Clock) {
        let Some((_, bound)) = &self.bound else { return };
        for (set, (kernels, queries)) in self.kernels.chunks(TIMED).zip(&clock.queries).enumerate() {
            for (index, kernel) in kernels.iter().enumerate() {
                let writes = wgpu::ComputePassTimestampWrites {
                    query_set: queries,
                    beginning_of_pass_write_index: Some(2 * index as u32),
                    end_of_pass_write_index: Some(2 * index as u32 + 1),
                };
                let timed = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
                kernel.encode(&mut encoder.begin_compute_pass(&timed), bound, set * TIMED + index);
            }
            let at = (TIMESTAMP * 2 * TIMED * set) as u64;
            encoder.resolve_query_set(queries, 0..2 * kernels.len() as u32, &clock.buffer, at);
        }
        self.count(device, 0..self.kernels.len());
    }

    /// Adds dispatches to a pass.
    pub fn encode(&self, device: &Device, encoder: &mut wgpu::CommandEncoder, which: Range<usize>) {
        let Some((_, bound)) = &self.bound else { return };
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for index in which.clone() {
            self.kernels[index].encode(&mut pass, bound, index);
        }
        self.count(device, which);
    }

    fn count(&self, device: &Device, which: Range<usize>) {
        device.counters.dispatches.add(which.len() as u64);
        let words = self.lowered.dispatches[which].iter().map(|dispatch| dispatch.cost.words);
        device.counters.bytes_moved.add(4 * words.sum::<u64>());
    }

    /// Lets go of the heap's buffer.
    pub fn unbind(&mut self) {
        self.bound = None;
    }

    /// Dispatches that are submitted together, with their operations: as many as take no more than so many operations, but at
    /// least one.
    pub fn parts(&self, most: Option<u64>) -> Vec<(Range<usize>, u64)> {
        parts(self.lowered.dispatches.iter().map(|dispatch| dispatch.cost.as_operations()), most.unwrap_or(u64::MAX))
    }
}

/// Runs of numbers whose sums are at most `most`, or of a single one that is larger; at least one run.
fn parts(operations: impl Iterator<Item = u64>, most: u64) -> Vec<(Range<usize>, u64)> {
    let mut parts: Vec<(Range<usize>, u64)> = vec![(0..0, 0)];
    for (index, own) in operations.enumerate() {
        match parts.last_mut() {
            Some((range, sum)) if range.start == range.end || sum.saturating_add(own) <= most => {
                range.end = index + 1;
                *sum = sum.saturating_add(own);
            }
            _ => parts.push((index..index + 1, own)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_submission_unless_it_would_take_too_long() {
        let of = |most| parts([5, 0, 7, 30, 1].into_iter(), most);
        assert_eq!(of(u64::MAX), [(0..5, 43)]);
        assert_eq!(of(12), [(0..3, 12), (3..4, 30), (4..5, 1)]);
        assert_eq!(of(0), [(0..1, 5), (1..2, 0), (2..3, 7), (3..4, 30), (4..5, 1)]);
        assert_eq!(parts(std::iter::empty(), 1), [(0..0, 0)]);
    }
}
