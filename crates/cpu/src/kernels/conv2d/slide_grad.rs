//! The gradient of weights under stride 1 along rows: what was read of an image and its cotangent serves every tap.
//!
//! The sums of a few pairs of kernel row and input channel, for every tap of the row, stay in registers while the image
//! passes. As in `slide.rs`, taps in the padding left and right are left out and images are read where they are.
use super::ConvShape;
use crate::dispatch;
use crate::simd::{Level, Simd};

/// Most registers of a panel of output channels.
fn widest(level: Level, taps: usize) -> usize {
    match (level, taps) {
        (Level::Avx512, 3) => 3,
        (Level::Avx512, _) => 2,
        _ => 1,
    }
}

/// Whether [`weight_grad`] can compute this convolution at this level.
pub(super) fn suits(level: Level, s: &ConvShape) -> bool {
    let [_, left, _, right] = s.padding;
    // Sixteen registers are too few for five taps, and the portable form has no registers to plan with.
    let taps = if level == Level::Avx512 { s.kw == 3 || s.kw == 5 } else { level == Level::Avx2 && s.kw == 3 };
    taps && s.stride[1] == 1 && s.dilation[1] == 1 && left.max(right) < s.kw
}

/// Floats of scratch for [`weight_grad`]: a row of zeros, which stands for those above and below the image.
pub(super) fn scratch(s: &ConvShape) -> usize {
    s.w * s.cin
}

/// dw `[kh, kw, cin / groups, cout]` += the gradient from one image x `[h, w, cin]` and its cotangent
/// dy `[oh, ow, cout]`.
///
/// # Panics
/// If a slice is shorter than the shape says.
pub(super) fn weight_grad(level: Level, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]) {
    let (cin, cout) = (s.cin / s.groups, s.cout / s.groups);
    assert!(
        x.len() >= s.h * s.w * s.cin
            && dw.len() >= s.kh * s.kw * cin * s.cout
            && dy.len() >= s.out_h() * s.out_w() * s.cout
            && zeros.len() >= scratch(s),
        "{s:?} reaches past its operands"
    );
    let (lanes, widest) = (level.lanes(), widest(level, s.kw));
    for group in 0..s.groups {
        let mut column = 0;
        while column < cout {
            let left = cout - column;
            let width = if left > widest * lanes { widest.min(2) * lanes } else { left };
            let panel = Panel { s, group, column: group * cout + column, width };
            let registers = width.div_ceil(lanes);
            match (s.kw, registers) {
                (3, 1) => {
                    dispatch!(level, pairs_3x1(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]))
                }
                (3, 2) => {
                    dispatch!(level, pairs_3x2(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]))
                }
                (3, _) => {
                    dispatch!(level, pairs_3x3(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]))
                }
                (_, 1) => {
                    dispatch!(level, pairs_5x1(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]))
                }
                _ => {
                    dispatch!(level, pairs_5x2(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]))
                }
            }
            column += width;
        }
    }
}

/// Output channels that are computed together.
#[derive(Clone, Copy)]
struct Panel<'a> {
    s: &'a ConvShape,
    group: usize,
    column: usize,
    width: usize,
}

macro_rules! widths {
    ($($name:ident: $taps:literal $registers:literal),*) => {$(
        #[inline(always)]
        unsafe fn $name<S: Simd>(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]) {
            // SAFETY: handed on.
            unsafe { pairs::<S, $taps, $registers>(panel, x, dy, dw, zeros) }
        }
    )*};
}
widths!(pairs_3x1: 3 1, pairs_3x2: 3 2, pairs_3x3: 3 3, pairs_5x1: 5 1, pairs_5x2: 5 2);

/// Most pairs of kernel row and channel whose sums fit beside a tap's worth of the cotangent and a pixel.
const fn most(lanes: usize, taps: usize, registers: usize) -> usize {
    let all = if lanes == 16 { 32usize } else { 16 };
    let free = all.saturating_sub(1 + taps * registers) / (taps * registers);
    if free > PAIRS { PAIRS } else { free }
}
const PAIRS: usize = 8;

#[inline(always)]
unsafe fn pairs<S: Simd, const KW: usize, const NV: usize>(
    panel: Panel<'_>,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    zeros: &[f32],
) {
    let Panel { s, .. } = panel;
    let count = s.kh * (s.cin / s.groups);
    let limit = most(S::LANES, KW, NV);
    let blocks = count.div_ceil(limit);
    let (low, high) = (count / blocks, count % blocks);
    let mut from = 0;
    for block in 0..blocks {
        let pairs = low + usize::from(block < high);
        macro_rules! blocks {
            ($($n:literal)*) => {
                match pairs {
                    // SAFETY: `weight_grad` checked the slices against the shape; the pairs lie in the kernel.
                    $($n if $n <= limit => unsafe { block_of::<S, $n, KW, NV>(panel, from, x, dy, dw, zeros) },)*
                    pairs => unreachable!("a block of {pairs} pairs"),
                }
            };
        }
        blocks!(1 2 3 4 5 6 7 8);
        from += pairs;
    }
}

/// `R` pairs from the pair `first` on.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an iterator over the sums would put them in memory")]
unsafe fn block_of<S: Simd, const R: usize, const KW: usize, const NV: usize>(
    panel: Panel<'_>,
    first: usize,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    zeros: &[f32],
) {
    let Panel { s, group, column, width } = panel;
    let (cin, [top, left, _, _]) = (s.cin / s.groups, s.padding);
    let (oh, ow) = (s.out_h(), s.out_w());
    let tail = width - (NV - 1) * S::LANES;
    let pairs: [[usize; 2]; R] = std::array::from_fn(|r| [(first + r) / cin, (first + r) % cin]);
    // Pixels under every tap; before and after them some taps lie outside.
    let inner = (KW - 1 - left).min(s.w)..(ow.saturating_sub(left)).clamp((KW - 1 - left).min(s.w), s.w);
    // SAFETY: rows of the image inside it or the row of zeros; results under taps that were found inside.
    unsafe {
        let load = |p: *const f32, v: usize| {
            let p = p.add(v * S::LANES);
            if v + 1 == NV { S::load_partial(p, tail) } else { S::load(p) }
        };
        let mut sums = [[[S::splat(0.0); NV]; KW]; R];
        for oy in 0..oh {
            let mut any = false;
            let rows: [*const f32; R] = std::array::from_fn(|r| {
                let y = (oy * s.stride[0] + pairs[r][0] * s.dilation[0]).wrapping_sub(top);
                any |= y < s.h;
                let row = if y < s.h { x.as_ptr().add(y * s.w * s.cin) } else { zeros.as_ptr() };
                row.add(group * cin + pairs[r][1])
            });
            if !any {
                continue;
            }
            let line = dy.as_ptr().add(oy * ow * s.cout + column);
            macro_rules! pixel {
                ($p:expr, $under:expr) => {
                    let mut below = [[S::splat(0.0); NV]; KW];
                    for (tap, registers) in below.iter_mut().enumerate() {
                        if $under(tap) {
                            for (v, register) in registers.iter_mut().enumerate() {
                                *register = load(line.add(($p + left - tap) * s.cout), v);
                            }
                        }
                    }
                    for r in 0..R {
                        let pixel = S::splat(*rows[r].add($p * s.cin));
                        for tap in 0..KW {
                            if $under(tap) {
                                for v in 0..NV {
                                    sums[r][tap][v] = S::mul_add(pixel, below[tap][v], sums[r][tap][v]);
                                }
                            }
                        }
                    }
                };
            }
            for p in (0..inner.start).chain(inner.end..s.w) {
                pixel!(p, |tap| p + left >= tap && p + left - tap < ow);
            }
            for p in inner.clone() {
                pixel!(p, |_| true);
            }
        }
        for r in 0..R {
            let [ky, channel] = pairs[r];
            for tap in 0..KW {
                for v in 0..NV {
                    let to = dw.as_mut_ptr().add(((ky * KW + tap) * cin + channel) * s.cout + column);
                    let sum = S::add(load(to, v), sums[r][tap][v]);
                    let to = to.add(v * S::LANES);
                    if v + 1 == NV { S::store_partial(to, sum, tail) } else { S::store(to, sum) }
                }
            }
        }
    }
}
