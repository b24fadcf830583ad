//! Transposition of matrices, square after square in registers.
use crate::dispatch;
use crate::simd::{Level, Simd};

/// Writes the transpose of `from` `[rows, columns]` to `to` `[columns, rows]`; strides are from row to row of each.
///
/// # Panics
/// If a slice is shorter than its extents say.
pub fn transpose(
    level: Level,
    [rows, columns]: [usize; 2],
    from: &[f32],
    from_stride: usize,
    to: &mut [f32],
    to_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let need = [(rows - 1) * from_stride + columns, (columns - 1) * to_stride + rows];
    assert!(need[0] <= from.len() && need[1] <= to.len(), "{need:?} floats for {rows}x{columns}");
    let (extents, strides) = ([rows, columns], [from_stride, to_stride]);
    dispatch!(level, squares(extents: [usize; 2], strides: [usize; 2], from: &[f32], to: &mut [f32]));
}

#[inline(always)]
unsafe fn squares<S: Simd>(
    [rows, columns]: [usize; 2],
    [from_stride, to_stride]: [usize; 2],
    from: &[f32],
    to: &mut [f32],
) {
    let (whole_rows, whole_columns) = (rows / S::LANES * S::LANES, columns / S::LANES * S::LANES);
    for column in (0..whole_columns).step_by(S::LANES) {
        for row in (0..whole_rows).step_by(S::LANES) {
            // SAFETY: the square lies inside the extents, which were checked; `dispatch!` has enabled the instructions.
            unsafe {
                let (from, to) = (from.as_ptr().add(row * from_stride + column), to.as_mut_ptr());
                S::transpose(from, from_stride, to.add(column * to_stride + row), to_stride);
            }
        }
    }
    for column in 0..columns {
        let done = if column < whole_columns { whole_rows } else { 0 };
        for row in done..rows {
            to[column * to_stride + row] = from[row * from_stride + column];
        }
    }
}
