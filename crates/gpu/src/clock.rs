//! How long each dispatch of a step takes.
use std::sync::atomic::AtomicBool;
use tslip_graph::Result;

use crate::device::Device;
use crate::readback::Staging;

/// Bytes of a timestamp.
const TIMESTAMP: usize = 8;
/// Dispatches of a query set, with two timestamps each.
const TIMED: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

/// Timestamps around each dispatch of a step.
#[derive(Debug)]
pub struct Clock {
    /// Each for as many dispatches as one has room for.
    queries: Vec<wgpu::QuerySet>,
    buffer: wgpu::Buffer,
    count: usize,
}

impl Clock {
    /// Room for so many dispatches.
    pub fn new(device: &Device, dispatches: usize) -> Result<Clock> {
        use wgpu::BufferUsages as Usage;
        let count = 2 * dispatches;
        let set = |first: usize| {
            device.handle.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("tslip"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * TIMED.min(dispatches - first) as u32,
            })
        };
        let queries = (0..dispatches).step_by(TIMED).map(set).collect();
        let bytes = (TIMESTAMP * count) as u64;
        let buffer = device.buffer("timestamps", bytes, Usage::QUERY_RESOLVE | Usage::COPY_SRC)?;
        Ok(Clock { queries, buffer, count })
    }

    /// Adds a pass for each dispatch, between two timestamps; `pass` fills one in.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, pass: impl Fn(&mut wgpu::ComputePass<'_>, usize)) {
        for (set, queries) in self.queries.iter().enumerate() {
            for query in 0..queries.count() / 2 {
                let writes = wgpu::ComputePassTimestampWrites {
                    query_set: queries,
                    beginning_of_pass_write_index: Some(2 * query),
                    end_of_pass_write_index: Some(2 * query + 1),
                };
                let timed = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
                pass(&mut encoder.begin_compute_pass(&timed), set * TIMED + query as usize);
            }
            let at = (TIMESTAMP * 2 * TIMED * set) as u64;
            encoder.resolve_query_set(queries, 0..queries.count(), &self.buffer, at);
        }
    }

    /// Milliseconds of each dispatch of the step, once that has been carried out.
    pub fn read(&self, device: &Device, cancel: &AtomicBool) -> Result<Vec<f64>> {
        let bytes = Staging::of(device, TIMESTAMP / 4 * self.count)?.copy_of(device, &self.buffer, cancel)?;
        let ticks: Vec<u64> =
            bytes.chunks_exact(TIMESTAMP).map(|b| b.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))).collect();
        let period = f64::from(device.queue.get_timestamp_period());
        Ok(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period / 1e6).collect())
    }
}
