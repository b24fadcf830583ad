//! The multiply-add peak and the memory bandwidth of a GPU, measured: what the speed of kernels and steps is compared with.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tslip_graph::Result;

use crate::device::Device;

/// What a GPU does at best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// FLOP/s of f32 multiply-adds on registers, a multiply-add counted as two.
    pub flops: f64,
    /// Bytes a second that a kernel reads and writes, both counted, which copies an array larger than caches are.
    pub bytes_per_second: f64,
}

/// Seconds of a run beside which submitting it and waiting for it do not count.
const ENOUGH: f64 = 0.02;
/// The fastest of so many runs counts: others use the machine too, and a GPU that was idle is slow at first.
const RUNS: usize = 8;

/// Invocations of a workgroup of both kernels.
const INVOCATIONS: u64 = 256;
/// Turns of the loop of multiply-adds, and the operations of a turn: two for each of eight multiply-adds in 32 chains.
const TURNS: u64 = 64;
const FLOP_OF_TURN: u64 = 2 * 8 * 32;
/// Workgroups of multiply-adds at first, and at most: so many that it does not matter how full the last round of a GPU is.
const GROUPS: [u64; 2] = [64, 1 << 15];
/// Bytes that a workgroup copies, of an array at first, and of one at most: beyond it no cache is larger.
const BYTES_OF_GROUP: u64 = INVOCATIONS * 4 * 16;
const ARRAY_BYTES: [u64; 2] = [4 << 20, 256 << 20];

impl Peak {
    /// Measures both, in about half a second.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the driver rejects a kernel, `OUT_OF_MEMORY` where it has no 512 MiB for two arrays, `DEVICE_LOST`
    /// where it gives up.
    pub fn measure(device: &Device) -> Result<Peak> {
        let flops = best(device, GROUPS, |groups| multiply_adds(device, groups))?;
        let most = ARRAY_BYTES[1].min(device.adapter.heap_bytes) / BYTES_OF_GROUP * BYTES_OF_GROUP;
        let bytes_per_second = best(device, [ARRAY_BYTES[0].min(most), most], |bytes| copy(device, bytes))?;
        Ok(Peak { flops, bytes_per_second })
    }
}

/// Work a second, of the size from the first to the last given at which a run takes long enough: larger ones are tried as long
/// as they do not, then more repetitions.
fn best(device: &Device, [first, last]: [u64; 2], load: impl Fn(u64) -> Result<Load>) -> Result<f64> {
    let (mut size, mut times) = (first, 1);
    let mut loaded = load(size)?;
    // The first run compiles, and clears the arrays.
    loaded.seconds(device, 1)?;
    while loaded.seconds(device, times)? < ENOUGH {
        if size < last {
            size = last.min(2 * size);
            loaded = load(size)?;
            loaded.seconds(device, 1)?;
        } else {
            times *= 2;
        }
    }
    let mut fastest = f64::INFINITY;
    for _ in 0..RUNS {
        fastest = fastest.min(loaded.seconds(device, times)?);
    }
    Ok(loaded.work * times as f64 / fastest)
}

/// A kernel with its arrays, and how much work one dispatch of it is.
struct Load {
    pipeline: Arc<wgpu::ComputePipeline>,
    /// Used in turn.
    bound: Vec<wgpu::BindGroup>,
    groups: u64,
    work: f64,
}

impl Load {
    /// Seconds that so many dispatches take together, from submitting them to knowing that they are done.
    fn seconds(&self, device: &Device, times: usize) -> Result<f64> {
        let mut encoder = device.encoder();
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        for bound in self.bound.iter().cycle().take(times) {
            pass.set_bind_group(0, bound, &[0]);
            pass.dispatch_workgroups(self.groups as u32, 1, 1);
        }
        drop(pass);
        device.counters.dispatches.add(times as u64);
        let start = Instant::now();
        let submission = device.submissions.submit(encoder, 0);
        device.submissions.wait_for(submission, &AtomicBool::new(false))?;
        Ok(start.elapsed().as_secs_f64())
    }
}

fn multiply_adds(device: &Device, groups: u64) -> Result<Load> {
    let invocations = groups * INVOCATIONS;
    let (unread, results) = (array(device, 4)?, array(device, 4 * invocations)?);
    Ok(Load {
        pipeline: device.pipelines.of("multiply-add peak", include_str!("multiply_add.wgsl"))?,
        bound: vec![device.bind(&given(device)?, &unread, &results)],
        groups,
        work: (invocations * TURNS * FLOP_OF_TURN) as f64,
    })
}

fn copy(device: &Device, bytes: u64) -> Result<Load> {
    let (one, other, given) = (array(device, bytes)?, array(device, bytes)?, given(device)?);
    Ok(Load {
        pipeline: device.pipelines.of("memory bandwidth", include_str!("scale.wgsl"))?,
        // There and back: what is read is never constant.
        bound: vec![device.bind(&given, &one, &other), device.bind(&given, &other, &one)],
        groups: bytes / BYTES_OF_GROUP,
        work: (2 * bytes) as f64,
    })
}

fn array(device: &Device, bytes: u64) -> Result<wgpu::Buffer> {
    device.buffer("peak", bytes, wgpu::BufferUsages::STORAGE)
}

/// What both kernels are given: turns, and a factor and an addend under which numbers tend to 1 and stay normal.
fn given(device: &Device) -> Result<wgpu::Buffer> {
    let words = [TURNS as u32, 0.999f32.to_bits(), 1e-3f32.to_bits(), 0];
    let buffer = device.buffer("peak", 16, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)?;
    device.queue.write_buffer(&buffer, 0, &words.map(u32::to_le_bytes).concat());
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::adapters;
    use crate::registry::open;

    /// Two measurements beside other work.
    const LIKE: f64 = 3.0;

    #[test]
    fn the_peak_is_one_that_a_gpu_can_have_and_is_found_again() {
        if adapters().is_empty() {
            eprintln!("skipped, as there is no GPU");
            return;
        }
        let device = open(0).unwrap().device;
        let (one, other) = (Peak::measure(&device).unwrap(), Peak::measure(&device).unwrap());
        for (a, b) in [(one.flops, other.flops), (one.bytes_per_second, other.bytes_per_second)] {
            assert!(a / b < LIKE && b / a < LIKE, "{one:?}, then {other:?}");
        }
        // From a slow emulator to ten times the fastest of today.
        assert!((1e8..1e15).contains(&one.flops) && (1e7..1e14).contains(&one.bytes_per_second), "{one:?}");
    }
}
