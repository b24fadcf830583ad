//! Eight floats in an array, which every compiler turns into something reasonable.
use super::Simd;

/// Needs no instructions beyond the target's own. Multiplies and adds are rounded separately: a fused one without
/// hardware is a library call.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

// SAFETY: eight lanes; arithmetic is plain, and pointers are used for eight floats, or for the first n of them.
unsafe impl Simd for Portable {
    type V = [f32; 8];
    type Verdict = [bool; 8];
    const LANES: usize = 8;
    const HEIGHTS: [usize; 4] = [4, 3, 2, 2];
    const MASKED: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller's eight floats, which need not be aligned for an array.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 8]) {
        // SAFETY: the caller's eight floats, which need not be aligned for an array.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> [f32; 8] {
        let mut v = [0.0; 8];
        // SAFETY: the caller's n floats, of which no more than the array holds are copied; it is a local of this function.
        unsafe { std::ptr::copy_nonoverlapping(from, v.as_mut_ptr(), n.min(8)) };
        v
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: [f32; 8], n: usize) {
        // SAFETY: the caller's n floats, of which no more than the array holds are written; it is a local of this function.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), to, n.min(8)) };
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for (row, column) in (0..8).flat_map(|row| (0..8).map(move |column| (row, column))) {
            // SAFETY: row and column are below 8: inside the caller's squares.
            unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
        }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn div(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    unsafe fn sqrt(a: [f32; 8]) -> [f32; 8] {
        a.map(f32::sqrt)
    }

    #[inline(always)]
    unsafe fn abs(a: [f32; 8]) -> [f32; 8] {
        a.map(f32::abs)
    }

    #[inline(always)]
    unsafe fn outside(v: [f32; 8], [low, high]: [f32; 2]) -> u32 {
        v.into_iter().enumerate().fold(0, |mask, (i, x)| mask | u32::from(!(low <= x && x <= high)) << i)
    }

    #[inline(always)]
    unsafe fn select(mask: u32, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if mask >> i & 1 == 1 { a[i] } else { b[i] })
    }

    #[inline(always)]
    unsafe fn permute_pairs(x: [f32; 8], v: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if after(x[i & !1], x[i | 1]) { v[i ^ 1] } else { v[i] })
    }

    #[inline(always)]
    unsafe fn after(a: [f32; 8], b: [f32; 8]) -> [bool; 8] {
        std::array::from_fn(|i| after(a[i], b[i]))
    }

    #[inline(always)]
    unsafe fn exchange(verdict: [bool; 8], a: [f32; 8], b: [f32; 8]) -> ([f32; 8], [f32; 8]) {
        let choose = |a: [f32; 8], b: [f32; 8]| std::array::from_fn(|i| if verdict[i] { b[i] } else { a[i] });
        (choose(a, b), choose(b, a))
    }

    #[inline(always)]
    unsafe fn lookup(v: [f32; 8], from: &[u32; 16]) -> [f32; 8] {
        std::array::from_fn(|i| v[from[i] as usize & 7])
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}

/// Whether a comes after b in ascending order, where NaN counts as largest and -0 as 0.
#[inline(always)]
pub fn after(a: f32, b: f32) -> bool {
    !b.is_nan() && (a > b || a.is_nan())
}
