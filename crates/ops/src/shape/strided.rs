//! Copies between arrangements: a row-major result from elements that lie at regular strides.
use tslip_cpu::kernels;
use tslip_cpu::simd::Level;

/// Side of the squares in which matrices are transposed: its rows of floats are half a cache line.
const TILE: usize = 8;
/// Rows and columns that are finished before the next are begun, so that cache lines are used whole.
const BLOCK: usize = 8 * TILE;

/// One loop: how often, and how far apart the elements lie in the source and in the result.
#[derive(Clone, Copy, Debug)]
struct Loop {
    count: usize,
    from: usize,
    to: usize,
}

/// What can be copied, and how matrices of it are transposed.
pub trait Element: Copy {
    /// `y[c * y_stride + r] = x[r * x_stride + c]` for a matrix of `rows` by `columns`.
    fn transpose(rows: usize, columns: usize, x: &[Self], x_stride: usize, y: &mut [Self], y_stride: usize) {
        transpose(rows, columns, x, x_stride, y, y_stride);
    }
}

impl Element for u8 {}
impl Element for i32 {}
impl Element for f32 {
    fn transpose(rows: usize, columns: usize, x: &[f32], x_stride: usize, y: &mut [f32], y_stride: usize) {
        kernels::transpose::transpose(Level::current(), [rows, columns], x, x_stride, y, y_stride);
    }
}

/// Sets `y`, row-major of `shape`, to `y[i] = x[start + sum_k i_k strides_k]`. A stride 0 repeats an element.
pub fn copy<T: Element>(shape: &[usize], strides: &[usize], start: usize, x: &[T], y: &mut [T]) {
    if shape.contains(&0) {
        return;
    }
    let mut loops = merged(shape, strides);
    let Some(inner) = loops.pop() else {
        y[0] = x[start];
        return;
    };
    let n = inner.count;
    match inner.from {
        1 => each(&loops, start, 0, &mut |f, t| y[t..t + n].copy_from_slice(&x[f..f + n])),
        0 => each(&loops, start, 0, &mut |f, t| y[t..t + n].fill(x[f])),
        far => match loops.iter().position(|l| l.from == 1) {
            Some(at) => {
                let near = loops.remove(at);
                each(&loops, start, 0, &mut |f, t| T::transpose(n, near.count, &x[f..], far, &mut y[t..], near.to));
            }
            None => each(&loops, start, 0, &mut |f, t| {
                y[t..t + n].iter_mut().zip(x[f..].iter().step_by(far)).for_each(|(y, x)| *y = *x);
            }),
        },
    }
}

/// `y[c * y_stride + r] = x[r * x_stride + c]` for a matrix of `rows` by `columns`.
pub fn transpose<T: Copy>(rows: usize, columns: usize, x: &[T], x_stride: usize, y: &mut [T], y_stride: usize) {
    for c0 in (0..columns).step_by(BLOCK) {
        for r0 in (0..rows).step_by(BLOCK) {
            let (r1, c1) = (rows.min(r0 + BLOCK), columns.min(c0 + BLOCK));
            for c in (c0..c1).step_by(TILE) {
                for r in (r0..r1).step_by(TILE) {
                    let (from, to) = (&x[r * x_stride + c..], &mut y[c * y_stride + r..]);
                    match (r1 - r, c1 - c) {
                        (TILE.., TILE..) => tile(from, x_stride, to, y_stride),
                        (h, w) => edge(h.min(TILE), w.min(TILE), from, x_stride, to, y_stride),
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn tile<T: Copy>(x: &[T], x_stride: usize, y: &mut [T], y_stride: usize) {
    let rows: [&[T]; TILE] = std::array::from_fn(|r| &x[r * x_stride..][..TILE]);
    for c in 0..TILE {
        let column: [T; TILE] = std::array::from_fn(|r| rows[r][c]);
        y[c * y_stride..][..TILE].copy_from_slice(&column);
    }
}

fn edge<T: Copy>(rows: usize, columns: usize, x: &[T], x_stride: usize, y: &mut [T], y_stride: usize) {
    for c in 0..columns {
        for r in 0..rows {
            y[c * y_stride + r] = x[r * x_stride + c];
        }
    }
}

/// The loops over the result, outermost first; loops that run through memory as one are made one.
fn merged(shape: &[usize], strides: &[usize]) -> Vec<Loop> {
    let mut loops: Vec<Loop> = Vec::with_capacity(shape.len());
    let mut to = shape.iter().product::<usize>();
    for (&count, &from) in shape.iter().zip(strides) {
        to /= count;
        match loops.last_mut() {
            _ if count == 1 => {}
            Some(outer) if outer.from == count * from => *outer = Loop { count: outer.count * count, from, to },
            _ => loops.push(Loop { count, from, to }),
        }
    }
    loops
}

fn each(loops: &[Loop], from: usize, to: usize, run: &mut impl FnMut(usize, usize)) {
    match loops {
        [] => run(from, to),
        [outer, inner @ ..] => {
            for i in 0..outer.count {
                each(inner, from + i * outer.from, to + i * outer.to, run);
            }
        }
    }
}
