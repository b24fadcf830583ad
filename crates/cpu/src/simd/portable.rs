//! Eight floats in an array, which every compiler turns into something reasonable.
use super::Simd;

/// Needs no instructions beyond the target's own. Multiplies and adds are rounded separately: a fused one without
/// hardware is a library call.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

// SAFETY: plain arithmetic; pointers as the trait says.
unsafe impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: as the trait says.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 8]) {
        // SAFETY: as the trait says.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> [f32; 8] {
        // SAFETY: as the trait says.
        std::array::from_fn(|i| if i < n { unsafe { from.add(i).read_unaligned() } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: [f32; 8], n: usize) {
        for (i, x) in v.into_iter().enumerate().take(n) {
            // SAFETY: as the trait says.
            unsafe { to.add(i).write_unaligned(x) }
        }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn permute_pairs(x: [f32; 8], v: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| {
            let (a, b) = (x[i & !1], x[i | 1]);
            let exchange = !b.is_nan() && (a > b || a.is_nan());
            if exchange { v[i ^ 1] } else { v[i] }
        })
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}
