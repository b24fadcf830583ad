//! Products of a weight and of the small symmetric matrices made from it, on all workers where it is worth it.
//!
//! Products are cut into blocks by shapes alone, so that results are the same bits for any number of workers.
use std::sync::{Mutex, PoisonError};

use crate::kernels::gemm::{Gemm, gemm, gemm_nt};
use crate::kernels::transpose::transpose;
use crate::pool::pool;
use crate::simd::Level;

/// Columns computed at once where a result is symmetric: what lies wholly below the diagonal is mirrored instead.
const PANEL: usize = 32;
/// Operations of a task at least: several times what it takes to wake a worker.
const TASK_FLOPS: usize = 6_000_000;
/// Rows of a block of a product at least, for its tiles to be high.
const BLOCK_ROWS: usize = 21;
/// The same where sums are long: each block packs the other factor for itself, which should be read often then.
const PACKED_ROWS: usize = 128;
/// Terms of a long sum.
const LONG: usize = 256;
/// Parts of a product at most: a power of two divides well among any number of workers.
const MOST_PARTS: usize = 8;
/// Parts of a long sum at most.
pub(super) const MOST_SUMS: usize = 4;

/// How a weight lies in memory: its tall form X `[q, p]`, q >= p, row-major, or, of a wide weight, Xᵀ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub level: Level,
    pub wide: bool,
    pub q: usize,
    pub p: usize,
}

/// A factor and a symmetric matrix that is added so many times.
pub(super) type Scaled<'a> = (f32, &'a [f32]);

impl Form {
    pub fn new(level: Level, m: usize, n: usize) -> Self {
        Form { level, wide: m < n, q: m.max(n), p: m.min(n) }
    }

    /// Entries of X.
    pub fn large(&self) -> usize {
        self.q * self.p
    }

    /// Entries of XᵀX.
    pub fn small(&self) -> usize {
        self.p * self.p
    }

    /// Floats of working memory that the products below need.
    pub fn work(&self) -> usize {
        MOST_SUMS * self.small()
    }

    /// Parts of the sum over q: where the result is too small to be shared out.
    fn sums(&self) -> usize {
        let flops = 2 * self.large() * self.p;
        if self.p > 2 * PANEL { 1 } else { (flops / TASK_FLOPS).clamp(1, MOST_SUMS) }
    }

    /// The factors of XᵀY whose sums run over rows `from..` of X and Y.
    fn long<'a>(&self, x: &'a [f32], y: &'a [f32], from: usize, k: usize) -> Factors<'a> {
        let Form { q, p, wide, .. } = *self;
        let skip = if wide { from } else { from * p };
        let (a_strides, b_row_stride) = if wide { ((q, 1), q) } else { ((1, p), p) };
        Factors { a: &x[skip..], a_strides, b: &y[skip..], b_row_stride, transposed: wide, k, accumulate: true }
    }

    /// C = XᵀY for X and Y in this form; C `[p, p]`.
    pub fn inner(&self, x: &[f32], y: &[f32], c: &mut [f32], work: &mut [f32]) {
        let (p, sums) = (self.p, self.sums());
        if sums == 1 {
            c.fill(0.0);
            return rows(self.level, &self.long(x, y, 0, self.q), [p, p], c);
        }
        self.each_sum(sums, work, |first, k, slot| {
            multiply(self.level, &self.long(x, y, first, k), [p, p], 0, slot, p);
        });
        add_up(work, self.small(), sums, c);
    }

    /// C = XᵀY for X and Y in this form, where that is symmetric; C is exactly so.
    pub fn symmetric_inner(&self, x: &[f32], y: &[f32], c: &mut [f32], work: &mut [f32]) {
        self.half_inner(x, y, 1.0, c, work);
    }

    /// E = I - XᵀX, exactly symmetric.
    pub fn defect(&self, x: &[f32], e: &mut [f32], work: &mut [f32]) {
        self.gram(x, -1.0, e, work);
        (0..self.p).for_each(|i| e[i * (self.p + 1)] += 1.0);
    }

    /// C = factor XᵀX, exactly symmetric.
    pub fn gram(&self, x: &[f32], factor: f32, c: &mut [f32], work: &mut [f32]) {
        self.half_inner(x, x, factor, c, work);
    }

    /// C = factor XᵀY by what is above its diagonal.
    fn half_inner(&self, x: &[f32], y: &[f32], factor: f32, c: &mut [f32], work: &mut [f32]) {
        let (p, sums) = (self.p, self.sums());
        if sums == 1 {
            self.symmetric(&[self.long(x, y, 0, self.q)], factor, &[], c, work);
        } else {
            self.each_sum(sums, work, |first, k, slot| {
                let factors = self.long(x, y, first, k);
                for column in (0..p).step_by(PANEL) {
                    let end = (column + PANEL).min(p);
                    multiply(self.level, &factors, [end, end - column], column, &mut slot[column..], p);
                }
            });
            add_up(work, self.small(), sums, c);
            scale(c, factor);
            for i in 0..p {
                for j in i + 1..p {
                    c[j * p + i] = c[i * p + j];
                }
            }
        }
    }

    /// Runs `sum(first row, rows, slot)` for each part of the sum over q, each with a slot of `work` of its own.
    fn each_sum(&self, sums: usize, work: &mut [f32], sum: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let slots: Vec<_> = work.chunks_mut(self.small()).take(sums).map(Mutex::new).collect();
        each(sums, &|part| {
            let (from, to) = (part * self.q / sums, (part + 1) * self.q / sums);
            let slot = &mut **slots[part].lock().unwrap_or_else(PoisonError::into_inner);
            slot.fill(0.0);
            sum(from, to - from, slot);
        });
    }

    /// Y = X S (added to Y if `accumulate`) for a symmetric S `[p, p]`.
    pub fn apply(&self, x: &[f32], s: &[f32], y: &mut [f32], accumulate: bool) {
        let Form { q, p, wide, level } = *self;
        let (a, b, b_row_stride, extents) = if wide { (s, x, q, [p, q]) } else { (x, s, p, [q, p]) };
        let factors = Factors { a, a_strides: (p, 1), b, b_row_stride, transposed: false, k: p, accumulate };
        rows(level, &factors, extents, y);
    }

    /// Y = X Sᵀ (added to Y if `accumulate`) for any S `[p, p]`.
    pub fn apply_transposed(&self, x: &[f32], s: &[f32], y: &mut [f32], accumulate: bool) {
        let Form { q, p, wide, level } = *self;
        let (a, b, b_row_stride, extents) = if wide { (s, x, q, [p, q]) } else { (x, s, p, [q, p]) };
        let factors = Factors { a, a_strides: (p, 1), b, b_row_stride, transposed: !wide, k: p, accumulate };
        rows(level, &factors, extents, y);
    }

    /// C = A B for `[p, p]` matrices.
    pub fn product(&self, a: &[f32], b: &[f32], c: &mut [f32]) {
        rows(self.level, &self.pair(a, b), [self.p, self.p], c);
    }

    /// The factors A and B, both `[p, p]`.
    pub fn pair<'a>(&self, a: &'a [f32], b: &'a [f32]) -> Factors<'a> {
        let p = self.p;
        Factors { a, a_strides: (p, 1), b, b_row_stride: p, transposed: false, k: p, accumulate: false }
    }

    /// C = factor (the sum of the products) + the sum of `plus`, where that is symmetric; C is exactly so.
    pub fn symmetric(
        &self,
        products: &[Factors<'_>],
        factor: f32,
        plus: &[Scaled<'_>],
        c: &mut [f32],
        work: &mut [f32],
    ) {
        let (level, p) = (self.level, self.p);
        let count = p.div_ceil(PANEL);
        let columns = |panel: usize| panel * PANEL..((panel + 1) * PANEL).min(p);
        let mut panels = Vec::with_capacity(count);
        let mut rest = work;
        for panel in 0..count {
            let (part, after) = rest.split_at_mut(columns(panel).end * columns(panel).len());
            panels.push(Mutex::new(part));
            rest = after;
        }
        // What lies on and above the diagonal: a long panel and a short one together take as long as any other two.
        let fill = |panel: usize| {
            let (columns, c) = (columns(panel), &mut **panels[panel].lock().unwrap_or_else(PoisonError::into_inner));
            let width = columns.len();
            for (i, product) in products.iter().enumerate() {
                let accumulate = i > 0 || product.accumulate;
                if i == 0 && accumulate {
                    c.fill(0.0);
                }
                let product = Factors { accumulate, ..*product };
                multiply(level, &product, [columns.end, width], columns.start, c, width);
            }
            scale(c, factor);
            for (factor, a) in plus {
                for (row, a) in c.chunks_exact_mut(width).zip(a[columns.start..].chunks(p)) {
                    row.iter_mut().zip(a).for_each(|(c, a)| *c += factor * a);
                }
            }
        };
        let flops: usize = products.iter().map(|f| p * (p + PANEL) * f.k).sum();
        let tasks = (flops / TASK_FLOPS).clamp(1, count.div_ceil(2));
        each(tasks, &|task| {
            for panel in (task..count.div_ceil(2)).step_by(tasks) {
                fill(panel);
                if count - 1 - panel != panel {
                    fill(count - 1 - panel);
                }
            }
        });
        let panels: Vec<&[f32]> =
            panels.into_iter().map(|m| &*m.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        row_blocks(c, p, tasks, |block, c| {
            let (own, mine) = (columns(block), panels[block]);
            let (above, diagonal) = mine.split_at(own.start * own.len());
            transpose(level, [own.start, own.len()], above, own.len(), c, p);
            for i in 0..own.len() {
                for j in i..own.len() {
                    let v = diagonal[i * own.len() + j];
                    c[i * p + own.start + j] = v;
                    c[j * p + own.start + i] = v;
                }
            }
            for (right, panel) in panels.iter().enumerate().skip(block + 1) {
                let columns = columns(right);
                let rows = panel.chunks_exact(columns.len()).skip(own.start);
                for (to, from) in c.chunks_exact_mut(p).zip(rows) {
                    to[columns.clone()].copy_from_slice(from);
                }
            }
        });
    }

    /// C = factor (A + Aᵀ) + the sum of `plus`, `[p, p]`; exactly symmetric.
    pub fn symmetrize(&self, a: &[f32], factor: f32, plus: &[Scaled<'_>], c: &mut [f32]) {
        self.fold(a, factor, 1.0, plus, c);
    }

    /// C = factor (A - Aᵀ) + the sum of `plus`, `[p, p]`; exactly antisymmetric where those are.
    pub fn antisymmetrize(&self, a: &[f32], factor: f32, plus: &[Scaled<'_>], c: &mut [f32]) {
        self.fold(a, factor, -1.0, plus, c);
    }

    /// C = factor (A + sign Aᵀ) + the sum of `plus`.
    fn fold(&self, a: &[f32], factor: f32, sign: f32, plus: &[Scaled<'_>], c: &mut [f32]) {
        let (level, p) = (self.level, self.p);
        let tasks = if p < 8 * PANEL { 1 } else { MOST_PARTS };
        row_blocks(c, p, tasks, |block, c| {
            let from = block * PANEL;
            let height = c.len() / p;
            transpose(level, [p, height], &a[from..], p, c, p);
            let rows = from * p..(from + height) * p;
            c.iter_mut().zip(&a[rows.clone()]).for_each(|(c, a)| *c = factor * (sign * *c + a));
            for (factor, plus) in plus {
                c.iter_mut().zip(&plus[rows.clone()]).for_each(|(c, a)| *c += factor * a);
            }
        });
    }
}

/// Two factors of a product: A by its strides, B with contiguous rows, or its transpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors<'a> {
    a: &'a [f32],
    a_strides: (usize, usize),
    b: &'a [f32],
    b_row_stride: usize,
    /// Whether `b` is the transpose of B.
    transposed: bool,
    k: usize,
    /// Whether the product is added, in parts of a few hundred terms, to what is there: long sums are rounded less so.
    accumulate: bool,
}

/// Columns `column .. column + n` of the first `m` rows of a product, into `c`, whose rows are `stride` apart.
fn multiply(level: Level, f: &Factors<'_>, [m, n]: [usize; 2], column: usize, c: &mut [f32], stride: usize) {
    let Factors { a, a_strides, b_row_stride, k, accumulate, .. } = *f;
    let b = &f.b[if f.transposed { column * b_row_stride } else { column }..];
    let g = Gemm { m, n, k, a, a_strides, b, b_row_stride, c, c_row_stride: stride, accumulate };
    if f.transposed { gemm_nt(level, g) } else { gemm(level, g) }
}

/// The whole product `[m, n]` in blocks of rows.
fn rows(level: Level, f: &Factors<'_>, [m, n]: [usize; 2], c: &mut [f32]) {
    let least_rows = if f.k > LONG { PACKED_ROWS } else { BLOCK_ROWS };
    let most = (2 * m * n * f.k / TASK_FLOPS).min(m / least_rows).min(MOST_PARTS);
    let blocks = 1 << most.max(1).ilog2();
    let first = |block: usize| block * m / blocks;
    let mut rest = &mut c[..m * n];
    let mut parts = Vec::with_capacity(blocks);
    for block in 0..blocks {
        let (part, after) = rest.split_at_mut((first(block + 1) - first(block)) * n);
        parts.push(Mutex::new(part));
        rest = after;
    }
    each(blocks, &|block| {
        let part = &mut **parts[block].lock().unwrap_or_else(PoisonError::into_inner);
        let f = Factors { a: &f.a[first(block) * f.a_strides.0..], ..*f };
        multiply(level, &f, [part.len() / n, n], 0, part, n);
    });
}

/// Runs `body(block, rows)` for the blocks of [`PANEL`] rows of a `[p, p]` matrix, in so many tasks.
fn row_blocks(c: &mut [f32], p: usize, tasks: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    let blocks: Vec<_> = c[..p * p].chunks_mut(PANEL * p).map(Mutex::new).collect();
    each(tasks, &|task| {
        for block in (task..blocks.len()).step_by(tasks) {
            body(block, &mut blocks[block].lock().unwrap_or_else(PoisonError::into_inner));
        }
    });
}

/// Floats of a part of [`each_part`].
const PART: usize = 16 * 1024;

/// Runs `body(floats, parts)` on parts of matrices of one size, on all workers; the sum of what it gives, in order.
pub(super) fn each_part<const N: usize>(
    matrices: [&mut [f32]; N],
    body: impl Fn(std::ops::Range<usize>, [&mut [f32]; N]) -> f64 + Sync,
) -> f64 {
    let length = matrices[0].len();
    let mut chunks = matrices.map(|matrix| matrix.chunks_mut(PART));
    let parts: Vec<_> = (0..length.div_ceil(PART))
        .map(|_| Mutex::new((chunks.each_mut().map(|chunk| chunk.next().unwrap_or_default()), 0.0)))
        .collect();
    each(parts.len(), &|part| {
        let (slices, sum) = &mut *parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        let from = part * PART;
        *sum = body(from..length.min(from + PART), slices.each_mut().map(|slice| &mut **slice));
    });
    parts.into_iter().map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner).1).sum()
}

/// Runs tasks on all workers.
fn each(tasks: usize, body: &(dyn Fn(usize) + Sync)) {
    if tasks == 1 {
        return body(0);
    }
    if let Err(message) = pool().run(tasks, &|task, _worker| body(task)) {
        panic!("a part of a product of matrices failed: {message}");
    }
}

/// The sum of `count` matrices of `length` entries, in their order.
fn add_up(slots: &[f32], length: usize, count: usize, sum: &mut [f32]) {
    sum.copy_from_slice(&slots[..length]);
    for slot in slots.chunks_exact(length).take(count).skip(1) {
        sum.iter_mut().zip(slot).for_each(|(sum, part)| *sum += part);
    }
}

pub(super) fn scale(a: &mut [f32], factor: f32) {
    if factor != 1.0 {
        a.iter_mut().for_each(|v| *v *= factor);
    }
}

/// The sum of a[i] b[i], in float64.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0_f64; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f64 = a.remainder().iter().zip(b.remainder()).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    for (x, y) in a.zip(b) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += f64::from(x) * f64::from(y);
        }
    }
    sums.iter().sum::<f64>() + tail
}
