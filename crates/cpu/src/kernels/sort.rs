//! Sorting of neighbouring pairs, the GroupSort2 activation with channels last.
use crate::dispatch;
use crate::simd::{Level, Simd};

/// Whether a pair changes places: ascending, stable, NaN last.
#[inline(always)]
fn swaps(a: f32, b: f32) -> bool {
    !(a <= b) && !b.is_nan()
}

/// y = x with each pair of neighbours in ascending order.
pub fn group_sort2(level: Level, x: &[f32], y: &mut [f32]) {
    group_permute2(level, x, x, y);
}

/// y = v with each pair moved as sorting the pair of x moves it; its own inverse.
pub fn group_permute2(level: Level, x: &[f32], v: &[f32], y: &mut [f32]) {
    dispatch!(level, permute(x: &[f32], v: &[f32], y: &mut [f32]));
}

#[inline(always)]
unsafe fn permute<S: Simd>(x: &[f32], v: &[f32], y: &mut [f32]) {
    for ((y, v), x) in y.chunks_exact_mut(2).zip(v.chunks_exact(2)).zip(x.chunks_exact(2)) {
        let swap = swaps(x[0], x[1]);
        y[0] = if swap { v[1] } else { v[0] };
        y[1] = if swap { v[0] } else { v[1] };
    }
}
