//! Products of matrices: C (+)= A B with C row-major, B row-major or transposed, and A of any strides.
use super::tile::{Block, Update, multiply};
use super::transpose::transpose;
use crate::simd::Level;
use std::mem::MaybeUninit;

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

/// Terms of a sum that are computed at a time.
const TERMS: usize = 256;
/// Columns of a packed panel of B, which fits the first-level cache.
const PANEL: usize = 32;
/// Columns of B that are packed at a time and rows of A: both fit the second-level cache.
const COLUMNS: usize = 8 * PANEL;
const ROWS: usize = 112;
/// Between rows of a packed block of A, so that they do not meet in the same place of a cache.
const GAP: usize = 16;
/// Floats of such a copy, whichever axis its rows are.
const COPY: usize = if ROWS < TERMS { TERMS * (ROWS + GAP) } else { ROWS * (TERMS + GAP) };
/// From this many rows on packing B pays where its rows lie so far apart.
const PACK_ROWS: usize = 28;
const FAR: usize = 4 * PANEL;

/// Computes a product. Without `accumulate` every entry of C is one sum in the order of k, so that it does not depend on
/// how many others are computed with it; with it, sums over at most 256 terms at a time are added to C.
///
/// # Panics
/// If a slice is shorter than the extents say.
pub fn gemm(level: Level, g: Gemm<'_>) {
    let (b, stride) = (g.b, g.b_row_stride);
    if g.k > TERMS && g.m >= PACK_ROWS && stride > FAR {
        return packed(level, g, |panel, [first, terms], [column, columns]| {
            for (term, row) in panel.chunks_exact_mut(columns).take(terms).enumerate() {
                row.copy_from_slice(&b[(first + term) * stride + column..][..columns]);
            }
        });
    }
    for [first, terms] in parts(g.k, TERMS) {
        let block = g.block(g.m, g.n, [first, terms], g.a_strides, stride);
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

/// Computes a product from panels of B, which `pack` writes from `[first term, terms]` and `[first column, columns]`, and
/// blocks of A, which are copied where they are used often.
#[inline(never)]
fn packed(level: Level, g: Gemm<'_>, pack: impl Fn(&mut [f32], [usize; 2], [usize; 2])) {
    let mut panels = [const { MaybeUninit::uninit() }; TERMS * COLUMNS];
    let mut rows_of_a = [const { MaybeUninit::uninit() }; COPY];
    let most_terms = g.k.min(TERMS);
    let panels = zeros(&mut panels, most_terms * g.n.min(COLUMNS).next_multiple_of(PANEL));
    let copies = g.n > 2 * PANEL && (g.a_strides.1 == 1 || g.a_strides.0 == 1);
    let rows_of_a = zeros(&mut rows_of_a, if copies { COPY } else { 0 });
    for [left, width] in parts(g.n, COLUMNS) {
        for [first, terms] in parts(g.k, TERMS) {
            for (i, [column, columns]) in parts(width, PANEL).enumerate() {
                pack(&mut panels[i * terms * PANEL..], [first, terms], [left + column, columns]);
            }
            for [top, rows] in parts(g.m, ROWS) {
                let a = from(g.a, top * g.a_strides.0 + first * g.a_strides.1);
                let (a, strides) =
                    if copies { copy(a, g.a_strides, [rows, terms], rows_of_a) } else { (a, g.a_strides) };
                for (i, [column, columns]) in parts(width, PANEL).enumerate() {
                    let c = (top * g.c_row_stride + left + column).min(g.c.len());
                    let block = g.block(rows, columns, [first, terms], strides, columns);
                    multiply(level, block, None, a, &panels[i * terms * PANEL..], &mut g.c[c..]);
                }
            }
        }
    }
}

/// Copies a block of A along the axis that is contiguous in memory. Returns it with its strides.
fn copy<'a>(
    a: &[f32],
    strides: (usize, usize),
    [rows, terms]: [usize; 2],
    to: &'a mut [f32],
) -> (&'a [f32], (usize, usize)) {
    let (apart, [count, len]) = if strides.1 == 1 { (strides.0, [rows, terms]) } else { (strides.1, [terms, rows]) };
    let stride = len + GAP;
    for (i, row) in to.chunks_mut(stride).take(count).enumerate() {
        row[..len].copy_from_slice(&a[i * apart..][..len]);
    }
    (to, if strides.1 == 1 { (stride, 1) } else { (1, stride) })
}

/// The first `len` floats of fresh memory, set to zero.
fn zeros(memory: &mut [MaybeUninit<f32>], len: usize) -> &mut [f32] {
    let part = &mut memory[..len];
    part.fill(MaybeUninit::new(0.0));
    // SAFETY: `fill` has written every float of the part, which `MaybeUninit<f32>` has the layout of; the borrow is the caller's.
    unsafe { &mut *(std::ptr::from_mut(part) as *mut [f32]) }
}

impl Gemm<'_> {
    /// The terms from `first` on for some rows and columns.
    fn block(&self, m: usize, n: usize, [first, terms]: [usize; 2], a_strides: (usize, usize), b_step: usize) -> Block {
        let update = match (self.accumulate, first) {
            (true, _) => Update::Add,
            (false, 0) => Update::Set,
            (false, _) => Update::Continue,
        };
        Block {
            lines: 1,
            m,
            n,
            k: terms,
            segments: [1, 1],
            a_line: 0,
            a_row: a_strides.0,
            a_step: a_strides.1,
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
