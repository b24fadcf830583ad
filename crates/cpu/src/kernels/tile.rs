//! The register tile behind products and convolutions: C[m, n] (+)= sum of A[m, k] B[k, n] with A read by strides.
//!
//! The sum runs over segments: stretches of k that are evenly spaced in A, two levels deep, and in B. A product has one
//! segment; a convolution has one for each row of its kernel, its weight gradient one for each row of the image.
use crate::dispatch;
use crate::simd::{Level, Simd};

/// Where the operands of a block of C are. Strides count floats.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Rows and columns of C.
    pub m: usize,
    /// Columns of C, contiguous in B and C.
    pub n: usize,
    /// Length of a segment.
    pub k: usize,
    /// Numbers of segments, outer and inner.
    pub segments: [usize; 2],
    /// From row to row of C in A.
    pub a_row: usize,
    /// From term to term of a segment in A.
    pub a_step: usize,
    /// From segment to segment in A, outer and inner.
    pub a_segment: [usize; 2],
    /// From term to term in B.
    pub b_step: usize,
    /// From segment to segment in B, in order.
    pub b_segment: usize,
    /// From row to row of C.
    pub c_row: usize,
    /// Whether C is added to.
    pub accumulate: bool,
}

impl Block {
    /// Floats of A, B and C from their first entry to their last.
    fn extents(&self) -> [usize; 3] {
        let count = self.segments[0] * self.segments[1];
        let last = |n: usize| n.saturating_sub(1);
        let a = last(self.m) * self.a_row
            + last(self.k) * self.a_step
            + last(self.segments[0]) * self.a_segment[0]
            + last(self.segments[1]) * self.a_segment[1];
        let b = last(self.k) * self.b_step + last(count) * self.b_segment + self.n;
        [a + 1, b, last(self.m) * self.c_row + self.n]
    }
}

/// Computes a block. Sums run in the order of k and of the segments, in one accumulator for each entry of C.
///
/// # Panics
/// If a slice is shorter than the block says.
pub fn multiply(level: Level, block: Block, a: &[f32], b: &[f32], c: &mut [f32]) {
    if block.m == 0 || block.n == 0 {
        return;
    }
    let empty = block.k == 0 || block.segments.contains(&0);
    if empty {
        if !block.accumulate {
            (0..block.m).for_each(|i| c[i * block.c_row..][..block.n].fill(0.0));
        }
        return;
    }
    let [need_a, need_b, need_c] = block.extents();
    assert!(need_a <= a.len() && need_b <= b.len() && need_c <= c.len(), "{block:?} reaches past its operands");
    let (block, a, b, c) = (&block, a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    dispatch!(level, columns(block: &Block, a: *const f32, b: *const f32, c: *mut f32));
}

/// Column panels two registers wide, then what is left.
#[inline(always)]
unsafe fn columns<S: Simd>(block: &Block, a: *const f32, b: *const f32, c: *mut f32) {
    let mut j = 0;
    // SAFETY: `multiply` has checked the extents, and every panel lies inside them.
    unsafe {
        while j < block.n {
            let left = block.n - j;
            let (b, c) = (b.add(j), c.add(j));
            if left >= 2 * S::LANES {
                rows::<S, 2, false>(block, a, b, c, S::LANES);
                j += 2 * S::LANES;
            } else if left > S::LANES {
                rows::<S, 2, true>(block, a, b, c, left - S::LANES);
                j += left;
            } else if left == S::LANES {
                rows::<S, 1, false>(block, a, b, c, S::LANES);
                j += left;
            } else {
                rows::<S, 1, true>(block, a, b, c, left);
                j += left;
            }
        }
    }
}

/// Strips of rows of equal height, as few as possible.
#[inline(always)]
unsafe fn rows<S: Simd, const NV: usize, const TAIL: bool>(
    block: &Block,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    tail: usize,
) {
    let strips = block.m.div_ceil(S::ROWS);
    for strip in 0..strips {
        let (from, to) = (strip * block.m / strips, (strip + 1) * block.m / strips);
        // SAFETY: the strip lies inside the block, whose extents were checked; no strip is higher than ROWS.
        unsafe {
            let (a, c) = (a.add(from * block.a_row), c.add(from * block.c_row));
            match to - from {
                1 => tile::<S, 1, NV, TAIL>(block, a, b, c, tail),
                2 => tile::<S, 2, NV, TAIL>(block, a, b, c, tail),
                3 => tile::<S, 3, NV, TAIL>(block, a, b, c, tail),
                4 => tile::<S, 4, NV, TAIL>(block, a, b, c, tail),
                5 if S::ROWS > 4 => tile::<S, 5, NV, TAIL>(block, a, b, c, tail),
                6 if S::ROWS > 4 => tile::<S, 6, NV, TAIL>(block, a, b, c, tail),
                7 if S::ROWS > 6 => tile::<S, 7, NV, TAIL>(block, a, b, c, tail),
                8 if S::ROWS > 6 => tile::<S, 8, NV, TAIL>(block, a, b, c, tail),
                9 if S::ROWS > 6 => tile::<S, 9, NV, TAIL>(block, a, b, c, tail),
                10 if S::ROWS > 6 => tile::<S, 10, NV, TAIL>(block, a, b, c, tail),
                11 if S::ROWS > 6 => tile::<S, 11, NV, TAIL>(block, a, b, c, tail),
                12 if S::ROWS > 6 => tile::<S, 12, NV, TAIL>(block, a, b, c, tail),
                13 if S::ROWS > 6 => tile::<S, 13, NV, TAIL>(block, a, b, c, tail),
                14 if S::ROWS > 6 => tile::<S, 14, NV, TAIL>(block, a, b, c, tail),
                height => unreachable!("a strip of {height} rows"),
            }
        }
    }
}

/// `MR` rows by `NV` registers, the last with `tail` floats if `TAIL`.
#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize, const TAIL: bool>(
    block: &Block,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    tail: usize,
) {
    // SAFETY: the caller's strip and panel lie inside extents that were checked; a partial register reads no further.
    unsafe {
        let load = |p: *const f32, v: usize| {
            let p = p.add(v * S::LANES);
            if TAIL && v + 1 == NV { S::load_partial(p, tail) } else { S::load(p) }
        };
        let mut sums = [[S::splat(0.0); NV]; MR];
        let mut b_segment = b;
        for outer in 0..block.segments[0] {
            for inner in 0..block.segments[1] {
                let mut a = a.add(outer * block.a_segment[0] + inner * block.a_segment[1]);
                let mut b = b_segment;
                for _ in 0..block.k {
                    let mut columns = [S::splat(0.0); NV];
                    for (v, column) in columns.iter_mut().enumerate() {
                        *column = load(b, v);
                    }
                    for (i, row) in sums.iter_mut().enumerate() {
                        let x = S::splat(*a.add(i * block.a_row));
                        for (sum, &column) in row.iter_mut().zip(&columns) {
                            *sum = S::mul_add(x, column, *sum);
                        }
                    }
                    a = a.add(block.a_step);
                    b = b.add(block.b_step);
                }
                b_segment = b_segment.add(block.b_segment);
            }
        }
        for (i, row) in sums.into_iter().enumerate() {
            for (v, mut sum) in row.into_iter().enumerate() {
                let to = c.add(i * block.c_row + v * S::LANES);
                if block.accumulate {
                    sum = S::add(load(c.add(i * block.c_row), v), sum);
                }
                if TAIL && v + 1 == NV { S::store_partial(to, sum, tail) } else { S::store(to, sum) }
            }
        }
    }
}
