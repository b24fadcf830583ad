//! A lowered plan with its kernels compiled and its tables in buffers: what a step only has to encode.
use std::ops::Range;
use std::sync::Arc;
use tslip_graph::Result;
use tslip_lower::{Location, Lowered, Word};

use crate::clock::Clock;
use crate::device::Device;
use crate::heap::Heap;

/// Workgroups along one axis of a dispatch.
const WIDEST: usize = 65535;
/// Distance of one dispatch's uniforms to the next.
const SLOT: u64 = 256;

/// A lowered plan, ready to run.
#[derive(Debug)]
pub struct Executable {
    /// What it was made from.
    pub lowered: Lowered,
    dispatches: Vec<Compiled>,
    table: wgpu::Buffer,
    words: Vec<Word>,
    uniforms: wgpu::Buffer,
    bound: Option<(u64, wgpu::BindGroup)>,
    /// The layout of the heap and the job for which the table was written.
    written: Option<(u64, u64)>,
}

/// A dispatch whose kernel is compiled.
#[derive(Debug)]
struct Compiled {
    pipeline: Arc<wgpu::ComputePipeline>,
    workgroups: (u32, u32),
}

impl Compiled {
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>, bound: &wgpu::BindGroup, index: usize) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bound, &[(index as u64 * SLOT) as u32]);
        pass.dispatch_workgroups(self.workgroups.0, self.workgroups.1, 1);
    }
}

impl Executable {
    /// Compiles the kernels.
    pub fn new(device: &Device, lowered: Lowered) -> Result<Executable> {
        // Whether the job has ended: it has not.
        let mut words = vec![Word::Plain(0)];
        let (mut uniforms, mut dispatches) = (Vec::new(), Vec::new());
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
            let pipeline = device.pipelines.of(&dispatch.name, &dispatch.text)?;
            dispatches.push(Compiled { pipeline, workgroups: (workgroups.0 as u32, workgroups.1 as u32) });
        }
        use wgpu::BufferUsages as Usage;
        let table = device.buffer("table", 4 * words.len() as u64, Usage::STORAGE | Usage::COPY_DST)?;
        let buffer = device.buffer("uniforms", uniforms.len() as u64, Usage::UNIFORM | Usage::COPY_DST)?;
        if !uniforms.is_empty() {
            device.queue.write_buffer(&buffer, 0, &uniforms);
        }
        Ok(Executable { lowered, dispatches, table, words, uniforms: buffer, bound: None, written: None })
    }

    /// Brings table and bind group up to date with where things are now. `job` is the number of the job whose own words are among
    /// them, 0 where none are.
    pub fn prepare(&mut self, device: &Device, heap: &Heap, job: u64, at: impl Fn(Location) -> usize) {
        let layout = (heap.layout, job);
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
            self.bound = Some((heap.epoch, device.bind(&self.uniforms, &self.table, &heap.buffer)));
        }
    }

    /// Lets kernels do nothing where a word of the heap is not 0.
    pub fn gate(&self, encoder: &mut wgpu::CommandEncoder, heap: &Heap, at: usize) {
        encoder.copy_buffer_to_buffer(&heap.buffer, 4 * at as u64, &self.table, 0, Some(4));
    }

    /// Adds all dispatches, each in a pass of its own between two timestamps.
    pub fn encode_timed(&self, device: &Device, encoder: &mut wgpu::CommandEncoder, clock: &Clock) {
        let Some((_, bound)) = &self.bound else { return };
        clock.encode(encoder, |pass, index| self.dispatches[index].encode(pass, bound, index));
        self.count(device, 0..self.dispatches.len());
    }

    /// Adds dispatches to a pass.
    pub fn encode(&self, device: &Device, encoder: &mut wgpu::CommandEncoder, which: Range<usize>) {
        let Some((_, bound)) = &self.bound else { return };
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for index in which.clone() {
            self.dispatches[index].encode(&mut pass, bound, index);
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
