//! Products of matrices on all workers, in blocks of rows that depend on the shapes alone.
use std::sync::{Mutex, PoisonError};

use super::gemm::{Gemm, gemm};
use crate::pool::pool;
use crate::simd::Level;

/// Operations of a block at least: several times what it takes to wake a worker.
const BLOCK_FLOPS: usize = 4_000_000;
/// Rows of a block at least, for the tiles to be high.
const BLOCK_ROWS: usize = 14;
/// Blocks at most.
const MOST_BLOCKS: usize = 32;

/// [`gemm`] on all workers of the pool where it is worth it; the same bits for any number of them.
///
/// # Panics
/// As [`gemm`] does.
pub fn gemm_parallel(level: Level, g: Gemm<'_>) {
    let blocks = (2 * g.m * g.n * g.k / BLOCK_FLOPS).min(g.m / BLOCK_ROWS).min(MOST_BLOCKS);
    if blocks < 2 {
        return gemm(level, g);
    }
    let Gemm { m, n, k, a, a_strides, b, b_row_stride, c, c_row_stride, accumulate } = g;
    let first = |block: usize| block * m / blocks;
    let mut rest = c;
    let mut parts = Vec::with_capacity(blocks);
    for block in 0..blocks {
        let rows = first(block + 1) - first(block);
        let cut = if block + 1 < blocks { rows * c_row_stride } else { rest.len() };
        let (part, after) = rest.split_at_mut(cut);
        rest = after;
        parts.push(Mutex::new((rows, part)));
    }
    let done = pool().run(blocks, &|block, _worker| {
        let mut part = parts[block].lock().unwrap_or_else(PoisonError::into_inner);
        let (m, a, c) = (part.0, &a[first(block) * a_strides.0..], &mut *part.1);
        gemm(level, Gemm { m, n, k, a, a_strides, b, b_row_stride, c, c_row_stride, accumulate });
    });
    if let Err(message) = done {
        panic!("a block of a product failed: {message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_rows_give_the_bits_of_the_whole_product() {
        let (m, n, k) = (117, 201, 150);
        let noise = |seed: u32, len: usize| -> Vec<f32> {
            (0..len as u32)
                .map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 9) % 2001) as f32 / 1e3 - 1.0)
                .collect()
        };
        let (a, b) = (noise(1, m * k), noise(2, k * n));
        for (a_strides, accumulate) in [((k, 1), false), ((1, m), true)] {
            let mut together = noise(3, m * n + 5);
            let mut apart = together.clone();
            let product =
                |c| Gemm { m, n, k, a: &a, a_strides, b: &b, b_row_stride: n, c, c_row_stride: n, accumulate };
            gemm(Level::current(), product(&mut together));
            gemm_parallel(Level::current(), product(&mut apart));
            assert_eq!(together, apart);
        }
    }
}
