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

/// Lanes of the widest registers.
const WIDEST: usize = 16;
/// From so many floats of a square on registers are quicker than moving them one by one.
const WORTH: usize = 32;

#[inline(always)]
unsafe fn squares<S: Simd>(
    [rows, columns]: [usize; 2],
    [from_stride, to_stride]: [usize; 2],
    from: &[f32],
    to: &mut [f32],
) {
    for column in (0..columns).step_by(S::LANES) {
        for row in (0..rows).step_by(S::LANES) {
            let (high, wide) = ((rows - row).min(S::LANES), (columns - column).min(S::LANES));
            let start = row * from_stride + column;
            // SAFETY: the square, or what there is of it, lies inside the extents, which were checked; a partial one is
            // read as a whole only where the slice is long enough. `dispatch!` has enabled the instructions.
            unsafe {
                let (source, place) = (from.as_ptr().add(start), to.as_mut_ptr().add(column * to_stride + row));
                if high == S::LANES && wide == S::LANES {
                    S::transpose(source, from_stride, place, to_stride);
                } else if high * wide >= WORTH && start + (S::LANES - 1) * from_stride + S::LANES <= from.len() {
                    let mut square = [0.0; WIDEST * WIDEST];
                    S::transpose(source, from_stride, square.as_mut_ptr(), S::LANES);
                    for i in 0..wide {
                        S::store_partial(place.add(i * to_stride), S::load(square.as_ptr().add(i * S::LANES)), high);
                    }
                } else {
                    for (i, j) in (0..high).flat_map(|i| (0..wide).map(move |j| (i, j))) {
                        *place.add(j * to_stride + i) = *source.add(i * from_stride + j);
                    }
                }
            }
        }
    }
}
