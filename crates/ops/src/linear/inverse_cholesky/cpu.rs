//! The CPU kernel: all sums in f64, rounded once where they are written.
use std::sync::{Mutex, PoisonError};

use tslip_cpu::pool::pool;

use super::root;
use crate::support::{Work, vectorized};

/// Rows that are eliminated at a time.
const BLOCK: usize = 32;
/// Columns of a panel.
const WIDTH: usize = 8;
/// Rows of a tile of products, whose sums stay in registers.
const ROWS: usize = 4;
/// Operations below which waking a worker costs more than it saves.
const ALONE: usize = 1 << 20;

const _: () = assert!(BLOCK.is_multiple_of(WIDTH) && WIDTH.is_multiple_of(ROWS));

/// A row of a panel.
type Row = [f64; WIDTH];
/// The rows of a block in the columns of a panel.
type Panel = [Row; BLOCK];

/// Floats of working memory for a matrix `[n, n]`.
pub(super) fn scratch(n: usize) -> usize {
    // One more, as the memory may not begin at a multiple of eight bytes.
    2 * (n * n + n.div_ceil(WIDTH) * BLOCK * WIDTH) + 1
}

/// X of a matrix `[n, n]`; the module says how.
pub(super) fn inverse_cholesky(a: &[f32], n: usize, x: &mut [f32], scratch: &mut [f32]) {
    // SAFETY: all bits are valid for both types, and `align_to_mut` leaves out what is not aligned.
    let (_, room, _) = unsafe { scratch.align_to_mut::<f64>() };
    let (t, rest) = room.split_at_mut(n * n);
    let panels: &mut [Panel] = &mut rest.as_chunks_mut().0.as_chunks_mut().0[..n.div_ceil(WIDTH)];
    lower_symmetric(a, n, t);
    for first in (0..n).step_by(BLOCK) {
        let end = n.min(first + BLOCK);
        let mut diagonal = [[0.0; BLOCK]; BLOCK];
        for (row, t) in diagonal.iter_mut().zip(t.chunks(n).take(end).skip(first)) {
            row[..end - first].copy_from_slice(&t[first..end]);
        }
        vectorized(Diagonal { t: &mut diagonal, order: end - first });
        let whole = &*t;
        each(panels.chunks_mut(BLOCK / WIDTH), 2 * n * BLOCK * BLOCK, |at, panels| {
            vectorized(Eliminated { t: whole, n, rows: [first, end], diagonal: &diagonal, at: at * BLOCK, panels });
        });
        for (row, t) in t.chunks_mut(n).enumerate().take(end).skip(first) {
            let lines = panels.iter().map(|panel| &panel[row - first]);
            t[..=row].chunks_mut(WIDTH).zip(lines).for_each(|(t, line)| t.copy_from_slice(&line[..t.len()]));
        }
        let (panels, below) = (&*panels, &mut t[end * n..]);
        each(below.chunks_mut(BLOCK * n), 2 * (n - end) * n * BLOCK, |at, rows| {
            vectorized(Below { rows, n, top: end + at * BLOCK, block: first, panels });
        });
    }
    for (row, (x, t)) in x.chunks_mut(n).zip(t.chunks(n)).enumerate() {
        let (kept, above) = x.split_at_mut(row + 1);
        kept.iter_mut().zip(t).for_each(|(x, &t)| *x = t as f32);
        above.fill(0.0);
    }
}

/// The lower triangle of (A + Aᵀ) / 2, in squares, so that columns are read while they are in the cache.
fn lower_symmetric(a: &[f32], n: usize, t: &mut [f64]) {
    for top in (0..n).step_by(BLOCK) {
        for left in (0..=top).step_by(BLOCK) {
            for i in top..n.min(top + BLOCK) {
                for j in left..n.min(left + BLOCK) {
                    t[i * n + j] = (f64::from(a[i * n + j]) + f64::from(a[j * n + i])) / 2.0;
                }
            }
        }
    }
}

/// Runs `body(number, part)` for all parts of an array, on all workers where `operations` are worth it.
fn each<'a, T: Send + 'a>(
    parts: impl Iterator<Item = &'a mut [T]>,
    operations: usize,
    body: impl Fn(usize, &mut [T]) + Sync,
) {
    if operations < ALONE {
        return parts.enumerate().for_each(|(at, part)| body(at, part));
    }
    let parts: Vec<_> = parts.map(Mutex::new).collect();
    let done = pool().run(parts.len(), &|at, _worker| {
        body(at, &mut parts[at].lock().unwrap_or_else(PoisonError::into_inner));
    });
    if let Err(message) = done {
        panic!("a part of a Cholesky factorization failed: {message}");
    }
}

/// Brings the inverse of its factor to the place of a matrix with so many rows, those of zeros after them aside: as whole matrices are
/// treated, in blocks of one row.
struct Diagonal<'a> {
    t: &'a mut [[f64; BLOCK]; BLOCK],
    order: usize,
}

impl Work for Diagonal<'_> {
    #[inline(always)]
    fn run(self) {
        for pivot in 0..self.order {
            let scale = 1.0 / root(self.t[pivot][pivot]);
            let mut r = self.t[pivot].map(|before| before * scale);
            r[pivot] = scale;
            for (r, t) in r.iter_mut().zip(self.t.iter_mut()).take(self.order).skip(pivot + 1) {
                *r = std::mem::take(&mut t[pivot]) * scale;
            }
            for (factor, t) in r.iter().zip(self.t.iter_mut()).take(self.order).skip(pivot + 1) {
                t.iter_mut().zip(&r).for_each(|(t, r)| *t -= factor * r);
            }
            self.t[pivot][..=pivot].copy_from_slice(&r[..=pivot]);
        }
        for (row, t) in self.t.iter_mut().enumerate() {
            t[row + 1..].fill(0.0);
        }
    }
}

/// Panels of R = D [T_b,before | I | T_after,bᵀ], of columns `at` and after.
struct Eliminated<'a> {
    t: &'a [f64],
    n: usize,
    /// The block: its first row, and the first after it.
    rows: [usize; 2],
    diagonal: &'a [[f64; BLOCK]; BLOCK],
    at: usize,
    panels: &'a mut [Panel],
}

impl Work for Eliminated<'_> {
    #[inline(always)]
    fn run(self) {
        let (n, [first, end]) = (self.n, self.rows);
        // D, its columns one after another.
        let mut columns = [[[0.0; WIDTH]; BLOCK]; BLOCK / WIDTH];
        for (i, row) in self.diagonal.iter().enumerate() {
            row.iter().enumerate().for_each(|(k, d)| columns[i / WIDTH][k][i % WIDTH] = *d);
        }
        for (index, panel) in self.panels.iter_mut().enumerate() {
            let left = self.at + index * WIDTH;
            let mut z = [[0.0; WIDTH]; BLOCK];
            for (k, z) in z.iter_mut().enumerate().take(end - first) {
                for (j, z) in (left..n).zip(z) {
                    *z = match j {
                        j if j < first => self.t[(first + k) * n + j],
                        j if j < end => f64::from(u8::from(j == first + k)),
                        j => self.t[j * n + first + k],
                    };
                }
            }
            for top in (0..BLOCK).step_by(ROWS) {
                let sums = tile(&columns[top / WIDTH], top % WIDTH, &z);
                panel[top..top + ROWS].copy_from_slice(&sums);
            }
        }
    }
}

/// T - Rᵀ R for some rows after the block, from `top` on; columns of the block are 0 before.
struct Below<'a> {
    rows: &'a mut [f64],
    n: usize,
    top: usize,
    block: usize,
    panels: &'a [Panel],
}

impl Work for Below<'_> {
    #[inline(always)]
    fn run(self) {
        let Below { rows, n, top, block, panels } = self;
        for (index, rows) in rows.chunks_mut(ROWS * n).enumerate() {
            let top = top + index * ROWS;
            for (at, right) in panels.iter().enumerate().take((top + ROWS).div_ceil(WIDTH)) {
                let left = at * WIDTH;
                let sums = tile(&panels[top / WIDTH], top % WIDTH, right);
                for ((row, t), sums) in (top..).zip(rows.chunks_mut(n)).zip(&sums) {
                    let t = &mut t[left..(left + WIDTH).min(row + 1).max(left)];
                    if (block..block + BLOCK).contains(&left) {
                        t.fill(0.0);
                    }
                    t.iter_mut().zip(sums).for_each(|(t, sum)| *t -= sum);
                }
            }
        }
    }
}

/// Products of columns `at` and following of one panel with those of another, summed over their rows.
#[inline(always)]
fn tile(left: &Panel, at: usize, right: &Panel) -> [Row; ROWS] {
    let mut sums = [[0.0; WIDTH]; ROWS];
    for (x, y) in left.iter().zip(right) {
        let x = x.as_chunks::<ROWS>().0[at / ROWS];
        for (sums, x) in sums.iter_mut().zip(x) {
            sums.iter_mut().zip(y).for_each(|(sum, y)| *sum += x * y);
        }
    }
    sums
}
