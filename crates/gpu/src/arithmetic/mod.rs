//! How a device computes: operations on chosen and random floats, judged by what IEEE 754 and WGSL allow.
//!
//! WGSL promises correctly rounded sums and products and little else, and drivers are known to break even that by reordering
//! sums. Certificates rest on it, so it is tested when a device is opened, in kernels that use the functions of the ops, and what
//! else was found is told with it.
mod judge;
mod operands;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tslip_graph::gpu::{EXACT, Kernel, MATH};
use tslip_graph::{DType, Result};
use tslip_lower::{Cost, Dispatch, Grid, Lowered, Word, wgsl};

use crate::device::Device;
use crate::executable::Executable;
use crate::heap::{Heap, Range};
use crate::readback::Staging;
pub use judge::Arithmetic;
use judge::{RESULTS, Results};
use operands::{Operands, RUN, RUNS};

/// Runs the test.
pub fn test(device: &Arc<Device>) -> Result<Arithmetic> {
    let operands = Operands::new();
    let kernel = Kernel::new("arithmetic", include_str!("arithmetic.wgsl")).with(EXACT).with(MATH);
    Ok(judge::judge(&operands, &run(device, &operands, wgsl::module(&kernel))?))
}

/// What a kernel makes of the operands.
fn run(device: &Arc<Device>, operands: &Operands, text: String) -> Result<Results> {
    let (pairs, sums) = (operands.pairs.len(), operands.sums.len());
    let mut heap = Heap::new(device.clone())?;
    let given = heap.take(operands::WORDS * pairs)?;
    let factors = heap.take(2 * RUN * RUNS * sums)?;
    let found = heap.take(RESULTS * pairs)?;
    let totals = heap.take(sums)?;
    let bytes = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    heap.write(given, &bytes(&mut operands.pairs.iter().flat_map(operands::Pair::words)));
    heap.write(factors, &bytes(&mut operands.sums.iter().flatten().flatten().copied()));
    let words = [pairs, given.at, found.at, sums, RUNS, factors.at, totals.at];
    let words = words.map(|word| Word::Plain(word as u32)).to_vec();
    let grid = Grid { words, groups: (pairs + sums).div_ceil(tslip_graph::gpu::WORKGROUP as usize) };
    let dispatch = Dispatch { name: "arithmetic".into(), text, grids: vec![grid], cost: Cost::default() };
    let lowered = Lowered { dispatches: vec![dispatch], ..Lowered::default() };
    let mut executable = Executable::new(device, lowered)?;
    executable.prepare(device, &heap, 0, |location| unreachable!("the test names no location: {location:?}"));
    let mut encoder = device.encoder();
    executable.encode(device, &mut encoder, 0..1);
    device.submissions.submit(encoder, 0);
    let wanted = [(found.at, RESULTS * pairs), (totals.at, sums)];
    let wanted = wanted.map(|(at, words)| (Range { at, words }, DType::F32));
    let floats = |bytes: &Vec<u8>| -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let room = RESULTS * pairs + sums;
    let read = Staging::of(device, room)?.read(device, &heap, &wanted, &AtomicBool::new(false))?;
    let (found, sums) = (floats(&read[0]), floats(&read[1]));
    Ok(Results { pairs: found.chunks_exact(RESULTS).map(judge::Found::of).collect(), sums })
}
