//! Products of matrices: C (+)= A B with C row-major, B row-major or transposed, and A of any strides.
use super::tile::{Block, Update, multiply};
use super::transpose::transpose;
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

/// Terms of a sum that are computed at a time from a packed panel of B, which then fits the first-level cache.
const PANEL_TERMS: usize = 256;
/// Columns of a packed panel.
const PANEL_COLUMNS: usize = 32;
/// From this many rows on packing pays where rows of B lie so far apart.
const PACK_ROWS: usize = 28;
const FAR: usize = 4 * PANEL_COLUMNS;

/// Computes a product. Without `accumulate` every entry of C is one sum in the order of k; with it, sums over at most
/// 256 terms at a time are added to C. So an entry does not depend on how many others are computed with it.
///
/// # Panics
/// If a slice is shorter than the extents say.
pub fn gemm(level: Level, g: Gemm<'_>) {
    let (b, stride) = (g.b, g.b_row_stride);
    if g.k > PANEL_TERMS && g.m >= PACK_ROWS && stride > FAR {
        return packed(level, g, |panel, [first, terms], [column, columns]| {
            for (term, row) in panel.chunks_exact_mut(columns).take(terms).enumerate() {
                row.copy_from_slice(&b[(first + term) * stride + column..][..columns]);
            }
        });
    }
    for [first, terms] in parts(g.k, PANEL_TERMS) {
        let block = g.block([first, terms], g.n, stride);
        multiply(level, block, None, from(g.a, first * g.a_strides.1), from(b, first * stride), g.c);
    }
}

/// The same for B given as its transpose `[n, k]`; `b_row_stride` is from row to row of that.
///
/// # Panics
/// If a slice is shorter than the extents say.
pub fn gemm_nt(level: Level, g: Gemm<'_>) {
    let (b, stride) = (g.b, g.b_row_stride);
    packed(level, g, |panel, [first, terms], [column, columns]| {
        transpose(level, [columns, terms], from(b, column * stride + first), stride, panel, columns);
    });
}

/// Computes a product from panels of B, which `pack` writes from `[first term, terms]` and `[first column, columns]`.
fn packed(level: Level, g: Gemm<'_>, pack: impl Fn(&mut [f32], [usize; 2], [usize; 2])) {
    let mut panel = [0.0; PANEL_TERMS * PANEL_COLUMNS];
    for [first, terms] in parts(g.k, PANEL_TERMS) {
        let a = from(g.a, first * g.a_strides.1);
        for [column, columns] in parts(g.n, PANEL_COLUMNS) {
            pack(&mut panel, [first, terms], [column, columns]);
            let c = g.c.len().min(column);
            multiply(level, g.block([first, terms], columns, columns), None, a, &panel, &mut g.c[c..]);
        }
    }
}

impl Gemm<'_> {
    /// The terms from `first` on for `n` columns.
    fn block(&self, [first, terms]: [usize; 2], n: usize, b_step: usize) -> Block {
        let update = match (self.accumulate, first) {
            (true, _) => Update::Add,
            (false, 0) => Update::Set,
            (false, _) => Update::Continue,
        };
        Block {
            lines: 1,
            m: self.m,
            n,
            k: terms,
            segments: [1, 1],
            a_line: 0,
            a_row: self.a_strides.0,
            a_step: self.a_strides.1,
            a_segment: [0, 0],
            b_step,
            b_segment: 0,
            c_line: 0,
            c_row: self.c_row_stride,
            update,
        }
    }
}

/// First entry and length of the parts of `0 .. len`; one empty part of an empty range.
fn parts(len: usize, most: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..len.div_ceil(most).max(1)).map(move |i| [i * most, most.min(len - i * most)])
}

/// What follows the first `skip` floats; `multiply` checks that it is enough.
fn from(x: &[f32], skip: usize) -> &[f32] {
    &x[skip.min(x.len())..]
}
