//! Products of the columns of a matrix with one another, in tiles of registers and on all workers.
//!
//! Gram matrices and Cholesky factorizations are made of them. Multiplications and additions round each by itself, in an
//! order that depends on the shapes alone: bounds are the same bits on every machine.
use std::sync::{Mutex, PoisonError};

use tslip_cpu::pool::pool;
use tslip_cpu::simd::Level;

/// Columns of a panel.
pub(crate) const WIDTH: usize = 16;
/// Rows and columns of a tile: its sums take eight registers of four numbers.
const TILE: [usize; 2] = [4, 8];
/// Operations below which waking a worker costs more than it saves.
const ALONE: usize = 1 << 21;

/// What happens to a matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Products are added.
    Add,
    /// Products are subtracted.
    Subtract,
}

/// Rows of a matrix packed in panels: panel j holds columns 16 j .. 16 j + 16 row by row, zeros beyond the last.
pub(crate) struct Panels {
    data: Vec<f64>,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// `depth` rows and `columns` columns of which `entry(row, column)` tells.
    pub fn pack(depth: usize, columns: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let mut data = vec![0.0; depth * columns.next_multiple_of(WIDTH)];
        for (j, panel) in data.chunks_exact_mut((depth * WIDTH).max(1)).enumerate() {
            let width = WIDTH.min(columns - j * WIDTH);
            for i in 0..width {
                let column = panel.iter_mut().skip(i).step_by(WIDTH);
                column.enumerate().for_each(|(k, x)| *x = entry(k, j * WIDTH + i));
            }
        }
        Panels { data, depth, columns }
    }

    fn panel(&self, j: usize) -> &[[f64; WIDTH]] {
        self.data[j * self.depth * WIDTH..][..self.depth * WIDTH].as_chunks().0
    }
}

/// Changes c_ij for j >= i (and some below) by the product Σ_k P_ki P_kj of columns i and j of the panels; `c` has as many
/// rows as they have columns, `stride` apart, and column 0 stands at `first` in its row.
pub(crate) fn change_upper(panels: &Panels, c: &mut [f64], stride: usize, first: usize, change: Change) {
    let bands: Vec<Mutex<&mut [f64]>> = c.chunks_mut(WIDTH * stride).map(Mutex::new).collect();
    let band = |i: usize, _worker: usize| {
        let mut rows = bands[i].lock().unwrap_or_else(PoisonError::into_inner);
        Band { panels, i, rows: &mut rows, stride, first, change }.change();
    };
    if panels.columns * panels.columns * panels.depth < ALONE {
        return (0..bands.len()).for_each(|i| band(i, 0));
    }
    if let Err(message) = pool().run(bands.len(), &band) {
        panic!("a band of products failed: {message}");
    }
}

/// The rows of one panel.
struct Band<'a> {
    panels: &'a Panels,
    i: usize,
    rows: &'a mut [f64],
    stride: usize,
    first: usize,
    change: Change,
}

/// Products of columns of one panel with columns of another.
type Tile = [[f64; TILE[1]]; TILE[0]];

impl Band<'_> {
    fn change(self) {
        match Level::current().usable() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the tile needs AVX2; a level that is `usable` was found to be this machine's, and both of these are found
            // with AVX2 alone.
            Level::Avx512 | Level::Avx2 => self.tiles(|left, right| unsafe { x86::tile(left, right) }),
            _ => self.tiles(tile),
        }
    }

    fn tiles(self, tile: impl Fn(Part<'_>, Part<'_>) -> Tile) {
        let Band { panels, i, rows, stride, first, change } = self;
        let left = panels.panel(i);
        for j in i..panels.columns.div_ceil(WIDTH) {
            let right = panels.panel(j);
            for top in (0..WIDTH).step_by(TILE[0]) {
                for from in (0..WIDTH).step_by(TILE[1]) {
                    let columns = TILE[1].min(panels.columns.saturating_sub(j * WIDTH + from));
                    if columns == 0 {
                        continue;
                    }
                    let sums = tile(Part { rows: left, from: top }, Part { rows: right, from });
                    for (row, sums) in rows.chunks_mut(stride).skip(top).zip(&sums) {
                        let to = &mut row[first + j * WIDTH + from..][..columns];
                        match change {
                            Change::Add => to.iter_mut().zip(sums).for_each(|(c, s)| *c += s),
                            Change::Subtract => to.iter_mut().zip(sums).for_each(|(c, s)| *c -= s),
                        }
                    }
                }
            }
        }
    }
}

/// The columns of a panel from `from` on.
#[derive(Clone, Copy)]
struct Part<'a> {
    rows: &'a [[f64; WIDTH]],
    from: usize,
}

/// A tile without instructions of its own.
fn tile(left: Part<'_>, right: Part<'_>) -> Tile {
    let mut sums = [[0.0; TILE[1]]; TILE[0]];
    for (x, y) in left.rows.iter().zip(right.rows) {
        let (x, y) = (&x[left.from..], &y[right.from..]);
        for (sums, x) in sums.iter_mut().zip(x) {
            sums.iter_mut().zip(y).for_each(|(sum, y)| *sum += x * y);
        }
    }
    sums
}

/// The same tile in registers; products are rounded before they are added there too, so that the bits are the same.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Part, TILE, Tile, WIDTH};

    const _: () = assert!(TILE[1] == 8 && TILE[1] <= WIDTH);

    /// The tile of two parts, as `super::tile` computes it.
    ///
    /// # Safety
    /// Where AVX2 is there.
    #[target_feature(enable = "avx2")]
    pub(super) fn tile(left: Part<'_>, right: Part<'_>) -> Tile {
        assert!(left.from + TILE[0] <= WIDTH && right.from + TILE[1] <= WIDTH);
        let mut sums = [[_mm256_setzero_pd(); 2]; TILE[0]];
        for (x, y) in left.rows.iter().zip(right.rows) {
            // SAFETY: a row is an array of WIDTH, and TILE[1] = 8 of its numbers follow from `right.from` on, as asserted above.
            let y = unsafe {
                let y = y.as_ptr().add(right.from);
                [_mm256_loadu_pd(y), _mm256_loadu_pd(y.add(4))]
            };
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = _mm256_set1_pd(x[left.from + i]);
                sums[0] = _mm256_add_pd(sums[0], _mm256_mul_pd(x, y[0]));
                sums[1] = _mm256_add_pd(sums[1], _mm256_mul_pd(x, y[1]));
            }
        }
        let mut out = [[0.0; TILE[1]]; TILE[0]];
        for (row, sums) in out.iter_mut().zip(&sums) {
            // SAFETY: a row is an array of TILE[1] = 8, which two stores of four fill.
            unsafe {
                _mm256_storeu_pd(row.as_mut_ptr(), sums[0]);
                _mm256_storeu_pd(row.as_mut_ptr().add(4), sums[1]);
            }
        }
        out
    }
}

/// y = A x for a matrix of `x.len()` columns.
pub(crate) fn multiply_vector(a: &[f64], x: &[f64], y: &mut [f64]) {
    const ROWS: usize = 64;
    let parts: Vec<Mutex<&mut [f64]>> = y.chunks_mut(ROWS).map(Mutex::new).collect();
    let part = |i: usize, _worker: usize| {
        let mut y = parts[i].lock().unwrap_or_else(PoisonError::into_inner);
        let rows = a[i * ROWS * x.len()..].chunks_exact(x.len());
        y.iter_mut().zip(rows).for_each(|(y, row)| *y = dot(row, x));
    };
    if a.len() < ALONE / 4 {
        return (0..parts.len()).for_each(|i| part(i, 0));
    }
    if let Err(message) = pool().run(parts.len(), &part) {
        panic!("a product with a vector failed: {message}");
    }
}

/// The product of two vectors in 32 interleaved sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 32;
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum::<f64>();
    for (x, y) in a_chunks.zip(b_chunks) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    #[test]
    fn the_upper_triangle_changes_by_the_products_of_all_columns() {
        let mut random = Random::new(7);
        for (depth, columns) in [(1, 1), (3, 15), (40, 16), (5, 17), (9, 70), (64, 300)] {
            // Whole numbers: every sum is exact.
            let rows: Vec<f64> = (0..depth * columns).map(|_| f64::from((random.number() * 50.0).round())).collect();
            let panels = Panels::pack(depth, columns, |k, i| rows[k * columns + i]);
            let (stride, first) = (columns + 3, 2);
            let before: Vec<f64> = (0..columns * stride).map(|i| i as f64).collect();
            for change in [Change::Add, Change::Subtract] {
                let mut c = before.clone();
                change_upper(&panels, &mut c, stride, first, change);
                let sign = if change == Change::Add { 1.0 } else { -1.0 };
                for i in 0..columns {
                    for j in i..columns {
                        let product = (0..depth).map(|k| rows[k * columns + i] * rows[k * columns + j]).sum::<f64>();
                        let at = i * stride + first + j;
                        assert_eq!(c[at], before[at] + sign * product, "{depth}x{columns} at {i}, {j}");
                    }
                    // What stands beside the columns stays.
                    assert_eq!(c[i * stride..][..first], before[i * stride..][..first]);
                    assert_eq!(c[i * stride + first + columns], before[i * stride + first + columns]);
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn registers_give_the_bits_of_plain_loops() {
        if !is_x86_feature_detected!("avx2") {
            return;
        }
        let mut random = Random::new(9);
        let panels = Panels::pack(77, 32, |_, _| f64::from(random.number()) / 3.0);
        for (top, from) in [(0, 0), (4, 8), (12, 8)] {
            let left = Part { rows: panels.panel(0), from: top };
            let right = Part { rows: panels.panel(1), from };
            // SAFETY: AVX2 was detected above.
            assert_eq!(unsafe { x86::tile(left, right) }, tile(left, right));
        }
    }

    #[test]
    fn products_with_vectors_take_every_row_and_column() {
        for n in [1, 31, 33, 100, 800] {
            let a: Vec<f64> = (0..n * n).map(|i| (i % 17) as f64).collect();
            let x: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
            let mut y = vec![0.0; n];
            multiply_vector(&a, &x, &mut y);
            for (i, y) in y.iter().enumerate() {
                assert_eq!(*y, (0..n).map(|j| a[i * n + j] * x[j]).sum::<f64>(), "row {i} of {n}");
            }
        }
    }
}
