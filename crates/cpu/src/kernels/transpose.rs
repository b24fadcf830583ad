//! Transposition of matrices, square after square in registers.
use super::span;
use crate::simd::{Level, MOST_LANES, Simd, dispatch};

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
    let need = [span([[rows, from_stride]], columns), span([[columns, to_stride]], rows)];
    assert!(need[0] <= from.len() && need[1] <= to.len(), "{need:?} floats for {rows}x{columns}");
    let (extents, strides) = ([rows, columns], [from_stride, to_stride]);
    // SAFETY: there are rows and columns, and the slices were compared with them just now.
    unsafe { dispatch!(level, squares(extents: [usize; 2], strides: [usize; 2], from: &[f32], to: &mut [f32])) };
}

/// From so many floats of a square on registers are quicker than moving them one by one.
const WORTH: usize = 32;

/// # Safety
/// Where S may be used; `from` has (rows - 1) * its stride + columns floats at least, `to` (columns - 1) * its stride + rows.
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
            // SAFETY: the first float of each square, and its `high` rows of `wide` floats, lie inside the slices, as the caller
            // answers for; one that is partial is read as a whole only where the slice was found to hold all of it, and written
            // as far as it goes. The local array holds a square of the widest registers.
            unsafe {
                let (source, place) = (from.as_ptr().add(start), to.as_mut_ptr().add(column * to_stride + row));
                if high == S::LANES && wide == S::LANES {
                    S::transpose(source, from_stride, place, to_stride);
                } else if high * wide >= WORTH && span([[S::LANES, from_stride]], start + S::LANES) <= from.len() {
                    let mut square = [0.0; MOST_LANES * MOST_LANES];
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
