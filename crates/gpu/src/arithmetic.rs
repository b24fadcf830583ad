//! How a device computes: single operations on chosen and random floats, compared with what IEEE 754 asks for.
//!
//! WGSL promises correctly rounded sums and products and little else. Certificates rest on that promise, so it is tested
//! when a device is opened, and what else was found is told with it.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tslip_graph::gpu::Program as Kernel;
use tslip_graph::{DType, Result};

use crate::device::Device;
use crate::heap::Heap;
use crate::lower::{Cost, Dispatch, Job, Lowered, Word};
use crate::program::Program;
use crate::readback::Staging;
use crate::wgsl;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arithmetic {
    /// Whether sums, differences and products are the nearest floats, as bounds of rounding assume.
    pub exact: bool,
    /// Whether `fma` rounds once.
    pub fused: bool,
    /// Largest error of a quotient, in units in the last place.
    pub division_ulps: f64,
    /// Largest error of a square root, in units in the last place.
    pub sqrt_ulps: f64,
    /// Whether subnormal numbers are kept; else they count as zero.
    pub subnormals: bool,
    /// Whether infinity minus infinity is NaN.
    pub nan: bool,
}

/// Random pairs beside the chosen ones.
const PAIRS: usize = 4096;
const RESULTS: usize = 7;

impl Arithmetic {
    /// Runs the test.
    pub fn test(device: &Arc<Device>) -> Result<Arithmetic> {
        let pairs = pairs();
        let results = run(device, &pairs)?;
        let mut found =
            Arithmetic { exact: true, fused: true, division_ulps: 0.0, sqrt_ulps: 0.0, subnormals: true, nan: true };
        for (&[a, b], r) in pairs.iter().zip(results.chunks_exact(RESULTS)) {
            let (sum, product, difference) = (a + b, a * b, a - b);
            found.nan &= (r[5].to_bits() == 1) == sum.is_nan();
            if [a, b].iter().any(|v| v.is_subnormal()) {
                found.subnormals &= r[0] == sum;
                continue;
            }
            let near =
                |got: f32, want: f32| got == want || (want.is_nan() && got.is_nan()) || want.abs() < f32::MIN_POSITIVE;
            found.exact &= near(r[0], sum) && near(r[1], product) && near(r[6], difference);
            found.fused &= near(r[2], a.mul_add(b, -1.0));
            if moderate(a) && moderate(b) {
                found.division_ulps = found.division_ulps.max(ulps(r[3], f64::from(a) / f64::from(b)));
                if a > 0.0 {
                    found.sqrt_ulps = found.sqrt_ulps.max(ulps(r[4], f64::from(a).sqrt()));
                }
            }
        }
        Ok(found)
    }
}

fn moderate(x: f32) -> bool {
    (1e-15..1e15).contains(&x.abs())
}

/// Distance to the exact value, in units of the last place there.
fn ulps(got: f32, exact: f64) -> f64 {
    let size = (exact.abs() as f32).max(f32::MIN_POSITIVE);
    let unit = f64::from(f32::from_bits(size.to_bits() + 1)) - f64::from(size);
    (f64::from(got) - exact).abs() / unit
}

/// Borders of the format, then floats of all sizes.
fn pairs() -> Vec<[f32; 2]> {
    let borders =
        [0.0, -0.0, 1.0, -1.0, 1.0 + f32::EPSILON, 1.0 - f32::EPSILON / 2.0, f32::MAX, f32::MIN_POSITIVE, 1e-40];
    let mut pairs: Vec<[f32; 2]> = borders.iter().flat_map(|&a| borders.map(|b| [a, b])).collect();
    pairs.push([f32::INFINITY, f32::NEG_INFINITY]);
    pairs.push([f32::NAN, 1.0]);
    let mut state = 1u64;
    let mut random = |exponents: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (state >> 32) as u32;
        let exponent = 127 - exponents / 2 + (state >> 8) as u32 % exponents;
        f32::from_bits((bits & 0x807f_ffff) | exponent << 23)
    };
    // Neighbours in size, where sums round, and floats of any size.
    pairs.extend((0..PAIRS).map(|i| if i % 2 == 0 { [random(24), random(24)] } else { [random(120), random(120)] }));
    pairs
}

fn run(device: &Arc<Device>, pairs: &[[f32; 2]]) -> Result<Vec<f32>> {
    let mut heap = Heap::new(device.clone())?;
    let given = heap.take(2 * pairs.len())?;
    let results = heap.take(RESULTS * pairs.len())?;
    let bytes: Vec<u8> = pairs.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    heap.write(given, &bytes);
    let kernel = Kernel::new("arithmetic", include_str!("arithmetic.wgsl"));
    let words = [pairs.len(), given.at, results.at].map(|word| Word::Plain(word as u32)).to_vec();
    let job = Job { words, groups: pairs.len().div_ceil(kernel.workgroup as usize) };
    let dispatch =
        Dispatch { name: kernel.name.into(), text: wgsl::module(&kernel), jobs: vec![job], cost: Cost::default() };
    let lowered = Lowered { dispatches: vec![dispatch], ..Lowered::default() };
    let mut program = Program::new(device, lowered, None)?;
    program.prepare(device, &heap, 0, |place| unreachable!("the test names no place: {place:?}"));
    let mut encoder = device.handle.create_command_encoder(&Default::default());
    program.encode(device, &mut encoder, 0..1);
    device.submit(encoder, 0);
    let words = RESULTS * pairs.len();
    let wanted = [(crate::heap::Range { at: results.at, words }, DType::F32)];
    let bytes = Staging::of(device, words)?.read(device, &heap, &wanted, &AtomicBool::new(false))?;
    Ok(bytes.concat().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
