//! The register tile behind products and convolutions: C[m, n] (+)= sum of A[m, k] B[k, n] with A read by strides.
//!
//! The sum runs over segments: stretches of k that are evenly spaced in A, two levels deep, and in B. A product has one
//! segment; a convolution has one for each row of its kernel, its weight gradient one for each row of the image. Rows
//! of C come in lines, evenly spaced in A and C: a product has one line, a convolution one for each row of the image.
use super::{product, span};
use crate::simd::{Level, Simd, dispatch, opaque};

/// Where the operands of a block of C are. Strides count floats.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Lines of rows.
    pub lines: usize,
    /// Rows of C in a line.
    pub m: usize,
    /// Columns of C, contiguous in B and C.
    pub n: usize,
    /// Length of a segment.
    pub k: usize,
    /// Numbers of segments, outer and inner.
    pub segments: [usize; 2],
    /// From line to line in A.
    pub a_line: usize,
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
    /// From line to line in C.
    pub c_line: usize,
    /// From row to row of C.
    pub c_row: usize,
    /// What becomes of C.
    pub update: Update,
}

/// How sums meet what C holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// C is overwritten. An entry is one sum in the order of k, whatever m and n are.
    Set,
    /// The same sum is continued from what C holds.
    Continue,
    /// The sum is formed apart and added to C. Where the tile is small it may run in interleaved parts.
    Add,
}

impl Block {
    /// Floats of A, B and C from their first entry to their last, for a block that has entries and terms.
    fn extents(&self) -> [usize; 3] {
        let Block { lines, m, n, k, segments: [outer, inner], .. } = *self;
        let (a_lines, a_rows, terms) = ([lines, self.a_line], [m, self.a_row], [k, self.a_step]);
        [
            span([a_lines, a_rows, terms, [outer, self.a_segment[0]], [inner, self.a_segment[1]]], 1),
            span([[k, self.b_step], [product([outer, inner]), self.b_segment]], n),
            span([[lines, self.c_line], [m, self.c_row]], n),
        ]
    }

    /// One line where lines follow each other as rows do.
    fn joined(mut self) -> Block {
        if self.lines > 1 && self.a_line == self.m * self.a_row && self.c_line == self.m * self.c_row {
            (self.m, self.lines) = (self.m * self.lines, 1);
        }
        self
    }
}

/// Computes a block. With [`Update::Set`] the sums of every row start from `start` `[n]`, if it is given, or from zero.
///
/// # Panics
/// If a slice is shorter than the block says.
pub fn multiply(level: Level, block: Block, start: Option<&[f32]>, a: &[f32], b: &[f32], c: &mut [f32]) {
    if block.lines == 0 || block.m == 0 || block.n == 0 {
        return;
    }
    if block.k == 0 || block.segments.contains(&0) {
        if block.update == Update::Set {
            let rows = (0..block.lines).flat_map(|l| (0..block.m).map(move |i| l * block.c_line + i * block.c_row));
            rows.for_each(|row| match start {
                Some(start) => c[row..][..block.n].copy_from_slice(&start[..block.n]),
                None => c[row..][..block.n].fill(0.0),
            });
        }
        return;
    }
    let [need_a, need_b, need_c] = block.extents();
    assert!(need_a <= a.len() && need_b <= b.len() && need_c <= c.len(), "{block:?} reaches past its operands");
    let mut start = match start {
        Some(start) if block.update == Update::Set => start[..block.n].as_ptr(),
        _ => std::ptr::null(),
    };
    let (block, mut b, mut c, mut left) = (&block.joined(), b.as_ptr(), c.as_mut_ptr(), block.n);
    let (a, lanes) = (a.as_ptr(), level.lanes());
    // Column panels two registers wide, the last up to three; a row or two alone need four for as many sums side by side.
    let few = block.lines * block.m <= 2;
    while left > 0 {
        let width = match left.div_ceil(lanes) {
            1..=3 => left,
            _ if few => left.min(4 * lanes),
            _ => 2 * lanes,
        };
        let operands = Operands { start, a, b, c };
        // SAFETY: the block has lines, rows, columns, terms and segments, its extents do not reach past the slices (asserted
        // above; lines that are joined are the same places), and the panel's columns are among its own: `width` of the `left`
        // that begin at these pointers. `start` has as many or is null. The panel has the registers that are named: `lanes` is
        // what S has at this level.
        unsafe {
            match width.div_ceil(lanes) {
                1 => dispatch!(level, lines1(block: &Block, operands: Operands, width: usize)),
                2 => dispatch!(level, lines2(block: &Block, operands: Operands, width: usize)),
                3 => dispatch!(level, lines3(block: &Block, operands: Operands, width: usize)),
                _ => dispatch!(level, lines4(block: &Block, operands: Operands, width: usize)),
            }
        }
        // Wrapping, as after the last panel they lie outside where nothing is read.
        (b, c, left) = (b.wrapping_add(width), c.wrapping_add(width), left - width);
        if !start.is_null() {
            start = start.wrapping_add(width);
        }
    }
}

/// First entries of the operands; `start` may be null.
#[derive(Clone, Copy)]
struct Operands {
    start: *const f32,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
}

macro_rules! panels {
    ($($name:ident: $registers:literal),*) => {$(
        /// All lines of a panel of so many registers.
        ///
        /// # Safety
        /// Where S may be used; the block has entries and terms and lies, for the `width` columns from those of the operands on,
        /// inside their slices; `start` is null or has as many floats; `width` fills all registers but the last, and some of
        /// that.
        #[inline(always)]
        unsafe fn $name<S: Simd>(block: &Block, operands: Operands, width: usize) {
            let tail = width - ($registers - 1) * S::LANES;
            // SAFETY: as the caller answers for; of the last register `tail` floats are columns, and all of it where it is taken
            // whole.
            unsafe {
                if S::MASKED || tail < S::LANES {
                    lines::<S, $registers, true>(block, operands, tail)
                } else {
                    lines::<S, $registers, false>(block, operands, tail)
                }
            }
        }
    )*};
}
panels!(lines1: 1, lines2: 2, lines3: 3, lines4: 4);

/// Strips of rows of equal height, as few as possible.
///
/// # Safety
/// As for a panel of `NV` registers, the last with `tail` columns: all its lanes unless `TAIL`.
#[inline(always)]
unsafe fn lines<S: Simd, const NV: usize, const TAIL: bool>(block: &Block, operands: Operands, tail: usize) {
    let limit = S::HEIGHTS[NV - 1];
    let strips = block.m.div_ceil(limit);
    let (low, high) = (block.m / strips, block.m % strips);
    let apart = block.update == Update::Add;
    for line in 0..block.lines {
        // Lines are the outer loop: what a convolution reads and writes then stays close together.
        let mut from = 0;
        for strip in 0..strips {
            let height = low + usize::from(strip < high);
            // SAFETY: the strip's rows are rows of the line, as the heights of all strips add up to m: first entries of A and C
            // that the caller answers for, and the tiles of that height.
            unsafe {
                let operands = Operands {
                    a: operands.a.add(line * block.a_line + from * block.a_row),
                    c: operands.c.add(line * block.c_line + from * block.c_row),
                    ..operands
                };
                macro_rules! tiles {
                ($($rows:literal)*) => {
                    match height {
                        // Few sums wait for one another: several of each run side by side.
                        $($rows if apart && $rows * NV <= 3 && $rows <= limit => tile::<S, $rows, NV, 4, TAIL>(block, operands, tail),)*
                        $($rows if apart && $rows * NV <= 7 && $rows <= limit => tile::<S, $rows, NV, 2, TAIL>(block, operands, tail),)*
                        $($rows if $rows <= limit => tile::<S, $rows, NV, 1, TAIL>(block, operands, tail),)*
                        height => unreachable!("a strip of {height} rows"),
                    }
                };
            }
                tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
            }
            from += height;
        }
    }
}

/// Rows of a strip that share a base pointer: 0, 1, 2, 3 and 4 strides from it, all of which an address can hold.
const SHARE: usize = 5;

/// Repeats a block for each row of a tile. The compiler gives up unrolling the highest, and with that their registers.
macro_rules! each_row {
    ($i:ident, $body:block) => { each_row!(@ $i $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13) };
    (@ $i:ident $body:block $($row:literal)*) => {
        $({ let $i: usize = $row; if $i < MR $body })*
    };
}

/// `MR` rows by `NV` registers, the last with `tail` floats if `TAIL`; `KU` sums for each entry.
///
/// # Safety
/// As for [`lines`], with A and C those of the first of `MR` rows of the block.
#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize, const KU: usize, const TAIL: bool>(
    block: &Block,
    Operands { start, a, b, c }: Operands,
    tail: usize,
) {
    // SAFETY: rows below MR, terms below k and segments of the block are inside the slices, as the caller answers for; a partial
    // register is read and written as far as its columns go. Pointers that step on after the last term or segment, or to rows
    // from MR on, wrap and are not read. Sums lie in C alone, which is borrowed exclusively and read before it is written.
    unsafe {
        let load = |p: *const f32, v: usize| {
            let p = p.add(v * S::LANES);
            if TAIL && v + 1 == NV { S::load_partial(p, tail) } else { S::load(p) }
        };
        // Left to itself the compiler derives each row's address from the row before, a chain as long as the tile is
        // high and slower than the tile's arithmetic.
        let (stride, share) = (opaque(block.a_row), opaque(SHARE * block.a_row));
        let offsets: [usize; SHARE] = [0, stride, 2 * stride, opaque(3 * block.a_row), 4 * stride];
        let mut sums = [[[S::splat(0.0); NV]; MR]; KU];
        if block.update == Update::Continue {
            each_row!(i, {
                for (v, sum) in sums[0][i].iter_mut().enumerate() {
                    *sum = load(c.add(i * block.c_row), v);
                }
            });
        } else if !start.is_null() {
            each_row!(i, {
                for (v, sum) in sums[0][i].iter_mut().enumerate() {
                    *sum = load(start, v);
                }
            });
        }
        let mut b_segment = b;
        for outer in 0..block.segments[0] {
            for inner in 0..block.segments[1] {
                let a = a.add(outer * block.a_segment[0] + inner * block.a_segment[1]);
                let mut bases = [a, a.wrapping_add(share), a.wrapping_add(2 * share)];
                let mut b = b_segment;
                macro_rules! step {
                    ($sums:expr) => {
                        let mut columns = [S::splat(0.0); NV];
                        for (v, column) in columns.iter_mut().enumerate() {
                            *column = load(b, v);
                        }
                        each_row!(i, {
                            let x = S::splat(*bases[i / SHARE].add(offsets[i % SHARE]));
                            for v in 0..NV {
                                $sums[i][v] = S::mul_add(x, columns[v], $sums[i][v]);
                            }
                        });
                        for base in &mut bases {
                            *base = base.wrapping_add(block.a_step);
                        }
                        b = b.wrapping_add(block.b_step);
                    };
                }
                for _ in 0..block.k / KU {
                    for part in &mut sums {
                        step!(part);
                    }
                }
                if KU > 1 {
                    for _ in 0..block.k % KU {
                        step!(sums[0]);
                    }
                }
                b_segment = b_segment.wrapping_add(block.b_segment);
            }
        }
        each_row!(i, {
            for v in 0..NV {
                let to = c.add(i * block.c_row + v * S::LANES);
                let mut sum = sums[0][i][v];
                for part in &sums[1..] {
                    sum = S::add(sum, part[i][v]);
                }
                if block.update == Update::Add {
                    sum = S::add(load(c.add(i * block.c_row), v), sum);
                }
                if TAIL && v + 1 == NV { S::store_partial(to, sum, tail) } else { S::store(to, sum) }
            }
        });
    }
}
