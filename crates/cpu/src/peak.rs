//! The multiply-add peak of the machine, measured: what the speed of kernels and steps is compared with.
use std::hint::black_box;
use std::time::Instant;

use crate::pool::pool;
use crate::simd::{Level, MOST_LANES, Simd, dispatch};

/// Enough independent chains to hide the latency of a multiply-add, few enough for sixteen registers.
const CHAINS: usize = 12;
/// Multiply-adds of each chain in a call: some tenths of a millisecond, so that reading the clock does not count.
const TURNS: usize = 60_000;
/// Calls that each worker is given at once: the last ones even out what starting costs.
const CALLS: usize = 8;
/// The fastest of so many runs counts: others use the machine too.
const RUNS: usize = 40;

/// FLOP/s of multiply-adds on registers, a multiply-add counted as two: with all workers of the pool, or on the calling
/// thread alone. Takes about a tenth of a second.
pub fn multiply_add_peak(level: Level, all_workers: bool) -> f64 {
    let workers = if all_workers { pool().workers() } else { 1 };
    let calls = workers * CALLS;
    let run = || {
        let start = Instant::now();
        if all_workers {
            // The body does not panic, which is all that could fail.
            let _ = pool().run(calls, &|_, _| multiply_adds(level));
        } else {
            (0..calls).for_each(|_| multiply_adds(level));
        }
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min);
    (2 * level.lanes() * CHAINS * TURNS * calls) as f64 / seconds
}

fn multiply_adds(level: Level) {
    let mut lanes = [0.0f32; MOST_LANES];
    let out = &mut lanes;
    // SAFETY: `chains` asks for nothing but its instructions.
    unsafe { dispatch!(level, chains(out: &mut [f32; MOST_LANES])) };
    black_box(lanes);
}

/// Numbers that stay normal and that the compiler does not know, multiplied and added without end.
///
/// # Safety
/// Where S may be used.
#[inline(always)]
unsafe fn chains<S: Simd>(out: &mut [f32; MOST_LANES]) {
    // SAFETY: S may be used, and no register has more lanes than `out` has floats.
    unsafe {
        let (a, b) = (S::splat(black_box(0.999)), S::splat(black_box(1e-3)));
        let mut sums = [S::splat(black_box(1.0)); CHAINS];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = S::mul_add(*sum, a, b);
            }
        }
        let total = sums.into_iter().reduce(|x, y| S::add(x, y)).unwrap_or(a);
        S::store(out.as_mut_ptr(), total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_every_level_is_one_that_a_processor_can_have() {
        for level in Level::available() {
            let peak = multiply_add_peak(level, false);
            // From a slow emulator to 64 lanes' worth of multiply-adds a cycle at 8 GHz.
            assert!((1e7..1e12).contains(&peak), "{level:?}: {peak:e} FLOP/s");
        }
    }

    #[test]
    fn wider_registers_have_a_higher_peak() {
        let levels = Level::available();
        if let (Some(&portable), Some(&best)) = (levels.first(), levels.last())
            && best.lanes() > portable.lanes()
        {
            assert!(multiply_add_peak(best, false) > multiply_add_peak(portable, false));
        }
    }
}
