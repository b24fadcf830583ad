//! NEON, which every AArch64 processor has.
use super::Simd;
use std::arch::aarch64::*;

/// Four floats a register, thirty-two registers.
#[derive(Clone, Copy, Debug)]
pub struct Neon;

// SAFETY: four lanes; pointers are used for four floats, or for the first n of them.
unsafe impl Simd for Neon {
    type V = float32x4_t;
    type Verdict = uint32x4_t;
    const LANES: usize = 4;
    const HEIGHTS: [usize; 4] = [14, 12, 8, 2];
    const MASKED: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        // SAFETY: NEON is part of the target; the caller answers for the floats of a register.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: float32x4_t) {
        // SAFETY: NEON is part of the target; the caller answers for the floats of a register.
        unsafe { vst1q_f32(to, v) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> float32x4_t {
        let mut v = [0.0; 4];
        // SAFETY: the caller answers for n floats, and no more are copied than the local array holds.
        unsafe {
            std::ptr::copy_nonoverlapping(from, v.as_mut_ptr(), n.min(4));
            vld1q_f32(v.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: float32x4_t, n: usize) {
        let mut lanes = [0.0; 4];
        // SAFETY: the caller answers for n floats, and no more are copied than the local array holds.
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, n.min(4));
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: NEON is part of the target; the caller answers for as many rows of a register as there are lanes. Two
        // interleavings of rows two apart make columns.
        unsafe {
            let r: [float32x4_t; 4] = std::array::from_fn(|i| vld1q_f32(from.add(i * from_stride)));
            let (low, low2) = (vzip1q_f32(r[0], r[2]), vzip1q_f32(r[1], r[3]));
            let (high, high2) = (vzip2q_f32(r[0], r[2]), vzip2q_f32(r[1], r[3]));
            vst1q_f32(to, vzip1q_f32(low, low2));
            vst1q_f32(to.add(to_stride), vzip2q_f32(low, low2));
            vst1q_f32(to.add(2 * to_stride), vzip1q_f32(high, high2));
            vst1q_f32(to.add(3 * to_stride), vzip2q_f32(high, high2));
        }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn sqrt(a: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vsqrtq_f32(a) }
    }

    #[inline(always)]
    unsafe fn abs(a: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vabsq_f32(a) }
    }

    #[inline(always)]
    unsafe fn outside(v: float32x4_t, [low, high]: [f32; 2]) -> u32 {
        // SAFETY: NEON is part of the target; the table of bits has a register of them. Each lane keeps its own bit, and their
        // sum is the mask.
        unsafe {
            let inside = vandq_u32(vcgeq_f32(v, vdupq_n_f32(low)), vcleq_f32(v, vdupq_n_f32(high)));
            vaddvq_u32(vbicq_u32(vld1q_u32(BITS.as_ptr()), inside))
        }
    }

    #[inline(always)]
    unsafe fn select(mask: u32, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; the table of bits has a register of them.
        unsafe { vbslq_f32(vtstq_u32(vdupq_n_u32(mask), vld1q_u32(BITS.as_ptr())), a, b) }
    }

    #[inline(always)]
    unsafe fn permute_pairs(x: float32x4_t, v: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched. Both lanes of a pair come to the same verdict.
        unsafe {
            let verdict = Self::after(vtrn1q_f32(x, x), vtrn2q_f32(x, x));
            vbslq_f32(verdict, vrev64q_f32(v), v)
        }
    }

    #[inline(always)]
    unsafe fn after(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vbicq_u32(vceqq_f32(b, b), vcleq_f32(a, b)) }
    }

    #[inline(always)]
    unsafe fn exchange(verdict: uint32x4_t, a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { (vbslq_f32(verdict, b, a), vbslq_f32(verdict, a, b)) }
    }

    #[inline(always)]
    unsafe fn lookup(v: float32x4_t, from: &[u32; 16]) -> float32x4_t {
        // SAFETY: NEON is part of the target; the sixteen entries are a register of them at least. Byte i of lane l is byte 4
        // from[l] + i of v.
        unsafe {
            let bytes = vmlaq_n_u32(vdupq_n_u32(0x0302_0100), vld1q_u32(from.as_ptr()), 0x0404_0404);
            vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), vreinterpretq_u8_u32(bytes)))
        }
    }

    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target; no memory is touched.
        unsafe { vfmaq_f32(c, a, b) }
    }
}

/// The bit of each lane in a mask.
static BITS: [u32; 4] = [1, 2, 4, 8];
