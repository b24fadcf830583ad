//! AVX2 and AVX-512.
use super::Simd;
use std::arch::x86_64::*;

/// Eight floats a register.
#[derive(Clone, Copy, Debug)]
pub struct Avx2;

/// Sixteen floats a register, thirty-two registers.
#[derive(Clone, Copy, Debug)]
pub struct Avx512;

/// A mask of the first `n` lanes, or of all where n is more.
///
/// # Safety
/// Where AVX is there.
#[inline(always)]
unsafe fn mask256(n: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: eight of the sixteen entries from the one at 8 - min(n, 8) on; the caller has the instructions.
    unsafe { _mm256_loadu_si256(ONES.as_ptr().add(8 - n.min(8)).cast()) }
}

// SAFETY: eight lanes; pointers are used for eight floats, or for those of the first n lanes, which the mask names.
unsafe impl Simd for Avx2 {
    type V = __m256;
    type Verdict = __m256;
    const LANES: usize = 8;
    const HEIGHTS: [usize; 4] = [12, 6, 4, 2];
    const MASKED: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: the caller has the instructions, and answers for the floats of a register.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m256) {
        // SAFETY: the caller has the instructions, and answers for the floats of a register.
        unsafe { _mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> __m256 {
        // SAFETY: the caller has the instructions, and answers for n floats; lanes that the mask leaves out are not read.
        unsafe { _mm256_maskload_ps(from, mask256(n)) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: __m256, n: usize) {
        // SAFETY: the caller has the instructions, and answers for n floats; lanes that the mask leaves out are not written.
        unsafe { _mm256_maskstore_ps(to, mask256(n), v) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller has the instructions, and answers for as many rows of a register as there are lanes.
        unsafe {
            let mut r: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(from.add(i * from_stride)));
            for i in (0..8).step_by(2) {
                (r[i], r[i + 1]) = (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1]));
            }
            // Now quarters: column j of four rows in each half of q[j], column j + 4 in the other.
            let mut q = r;
            for i in [0, 4] {
                q[i] = _mm256_shuffle_ps::<0x44>(r[i], r[i + 2]);
                q[i + 1] = _mm256_shuffle_ps::<0xEE>(r[i], r[i + 2]);
                q[i + 2] = _mm256_shuffle_ps::<0x44>(r[i + 1], r[i + 3]);
                q[i + 3] = _mm256_shuffle_ps::<0xEE>(r[i + 1], r[i + 3]);
            }
            for j in 0..4 {
                _mm256_storeu_ps(to.add(j * to_stride), _mm256_permute2f128_ps::<0x20>(q[j], q[4 + j]));
                _mm256_storeu_ps(to.add((4 + j) * to_stride), _mm256_permute2f128_ps::<0x31>(q[j], q[4 + j]));
            }
        }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sqrt(a: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_sqrt_ps(a) }
    }

    #[inline(always)]
    unsafe fn abs(a: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    unsafe fn outside(v: __m256, [low, high]: [f32; 2]) -> u32 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe {
            let below = _mm256_cmp_ps::<_CMP_NGE_UQ>(v, _mm256_set1_ps(low));
            let above = _mm256_cmp_ps::<_CMP_NLE_UQ>(v, _mm256_set1_ps(high));
            _mm256_movemask_ps(_mm256_or_ps(below, above)) as u32
        }
    }

    #[inline(always)]
    unsafe fn select(mask: u32, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched. Each lane looks at its own bit.
        unsafe {
            let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask as i32), bits), bits);
            _mm256_blendv_ps(b, a, _mm256_castsi256_ps(set))
        }
    }

    #[inline(always)]
    unsafe fn permute_pairs(x: __m256, v: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched. Both lanes of a pair come to the same verdict.
        unsafe {
            let verdict = Self::after(_mm256_moveldup_ps(x), _mm256_movehdup_ps(x));
            _mm256_blendv_ps(v, _mm256_permute_ps::<0b10_11_00_01>(v), verdict)
        }
    }

    #[inline(always)]
    unsafe fn after(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(a, b), _mm256_cmp_ps::<_CMP_ORD_Q>(b, b)) }
    }

    #[inline(always)]
    unsafe fn exchange(verdict: __m256, a: __m256, b: __m256) -> (__m256, __m256) {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { (_mm256_blendv_ps(a, b, verdict), _mm256_blendv_ps(b, a, verdict)) }
    }

    #[inline(always)]
    unsafe fn lookup(v: __m256, from: &[u32; 16]) -> __m256 {
        // SAFETY: the caller has the instructions; the sixteen entries are a register of them at least.
        unsafe { _mm256_permutevar8x32_ps(v, _mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
}

// SAFETY: sixteen lanes; pointers are used for sixteen floats, or for those of the first n lanes, which the mask names.
unsafe impl Simd for Avx512 {
    type V = __m512;
    type Verdict = __mmask16;
    const LANES: usize = 16;
    const HEIGHTS: [usize; 4] = [14, 14, 9, 2];
    const MASKED: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: the caller has the instructions, and answers for the floats of a register.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        // SAFETY: the caller has the instructions, and answers for the floats of a register.
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> __m512 {
        // SAFETY: the caller has the instructions, and answers for n floats; lanes that the mask leaves out are not read.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, from) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: __m512, n: usize) {
        // SAFETY: the caller has the instructions, and answers for n floats; lanes that the mask leaves out are not written.
        unsafe { _mm512_mask_storeu_ps(to, ((1u32 << n) - 1) as u16, v) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller has the instructions, and answers for as many rows of a register as there are lanes.
        unsafe {
            let mut r: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(from.add(i * from_stride)));
            for i in (0..16).step_by(2) {
                (r[i], r[i + 1]) = (_mm512_unpacklo_ps(r[i], r[i + 1]), _mm512_unpackhi_ps(r[i], r[i + 1]));
            }
            // Now quarters: column j + 4 l of four rows in quarter l of q[j].
            let mut q = r;
            for i in (0..16).step_by(4) {
                q[i] = _mm512_shuffle_ps::<0x44>(r[i], r[i + 2]);
                q[i + 1] = _mm512_shuffle_ps::<0xEE>(r[i], r[i + 2]);
                q[i + 2] = _mm512_shuffle_ps::<0x44>(r[i + 1], r[i + 3]);
                q[i + 3] = _mm512_shuffle_ps::<0xEE>(r[i + 1], r[i + 3]);
            }
            for j in 0..4 {
                let (a, b, c, d) = (q[j], q[4 + j], q[8 + j], q[12 + j]);
                let (low, high) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xEE>(a, b));
                let (low2, high2) = (_mm512_shuffle_f32x4::<0x44>(c, d), _mm512_shuffle_f32x4::<0xEE>(c, d));
                _mm512_storeu_ps(to.add(j * to_stride), _mm512_shuffle_f32x4::<0x88>(low, low2));
                _mm512_storeu_ps(to.add((4 + j) * to_stride), _mm512_shuffle_f32x4::<0xDD>(low, low2));
                _mm512_storeu_ps(to.add((8 + j) * to_stride), _mm512_shuffle_f32x4::<0x88>(high, high2));
                _mm512_storeu_ps(to.add((12 + j) * to_stride), _mm512_shuffle_f32x4::<0xDD>(high, high2));
            }
        }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sqrt(a: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_sqrt_ps(a) }
    }

    #[inline(always)]
    unsafe fn abs(a: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    unsafe fn outside(v: __m512, [low, high]: [f32; 2]) -> u32 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe {
            let below = _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(v, _mm512_set1_ps(low));
            u32::from(below | _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(v, _mm512_set1_ps(high)))
        }
    }

    #[inline(always)]
    unsafe fn select(mask: u32, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_mask_blend_ps(mask as u16, b, a) }
    }

    #[inline(always)]
    unsafe fn permute_pairs(x: __m512, v: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched. Both lanes of a pair come to the same verdict.
        unsafe {
            let verdict = Self::after(_mm512_moveldup_ps(x), _mm512_movehdup_ps(x));
            _mm512_mask_permute_ps::<0b10_11_00_01>(v, verdict, v)
        }
    }

    #[inline(always)]
    unsafe fn after(a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_mask_cmp_ps_mask::<_CMP_NLE_UQ>(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(b, b), a, b) }
    }

    #[inline(always)]
    unsafe fn exchange(verdict: __mmask16, a: __m512, b: __m512) -> (__m512, __m512) {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { (_mm512_mask_blend_ps(verdict, a, b), _mm512_mask_blend_ps(verdict, b, a)) }
    }

    #[inline(always)]
    unsafe fn lookup(v: __m512, from: &[u32; 16]) -> __m512 {
        // SAFETY: the caller has the instructions; the sixteen entries are a register of them at least.
        unsafe { _mm512_permutexvar_ps(_mm512_loadu_si512(from.as_ptr().cast()), v) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller has the instructions; no memory is touched.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}
