//! Products of matrices: C (+)= A B with B and C row-major and A of any strides.
use super::tile::{Block, Update, multiply};
use crate::simd::Level;

/// Operands of a product. `a` is `[m, k]` by its strides, `b` `[k, n]` and `c` `[m, n]` have contiguous rows.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Gemm<'a> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: &'a [f32],
    /// Floats from row to row and from column to column of A.
    pub a_strides: (usize, usize),
    pub b: &'a [f32],
    /// Floats from row to row of B.
    pub b_row_stride: usize,
    pub c: &'a mut [f32],
    /// Floats from row to row of C.
    pub c_row_stride: usize,
    /// Whether the product is added to C.
    pub accumulate: bool,
}

/// Computes a product; every entry of C is one sum in the order of k.
pub fn gemm(level: Level, g: Gemm<'_>) {
    let block = Block {
        lines: 1,
        m: g.m,
        n: g.n,
        k: g.k,
        segments: [1, 1],
        a_line: 0,
        a_row: g.a_strides.0,
        a_step: g.a_strides.1,
        a_segment: [0, 0],
        b_step: g.b_row_stride,
        b_segment: 0,
        c_line: 0,
        c_row: g.c_row_stride,
        update: if g.accumulate { Update::Add } else { Update::Set },
    };
    multiply(level, block, g.a, g.b, g.c);
}
