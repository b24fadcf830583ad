//! The gradient of weights under stride 1 along rows: what was read of an image and its cotangent serves every tap.
//!
//! The sums of a few pairs of kernel row and input channel, for every tap of the row, stay in registers while the image
//! passes. As in `slide.rs`, taps in the padding left and right are left out and images are read where they are.
use super::ConvShape;
use crate::kernels::product;
use crate::simd::{Level, Simd, dispatch};

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
/// If a slice is shorter than the shape says, or it does not suit.
pub(super) fn weight_grad(level: Level, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]) {
    let (cin, cout) = (s.cin / s.groups, s.cout / s.groups);
    assert!(
        x.len() >= product([s.h, s.w, s.cin])
            && dw.len() >= product([s.kh, s.kw, cin, s.cout])
            && dy.len() >= product([s.out_h(), s.out_w(), s.cout])
            && zeros.len() >= product([s.w, s.cin]),
        "{s:?} reaches past its operands"
    );
    assert!(suits(level, s), "{s:?} does not slide");
    let (lanes, widest) = (level.lanes(), widest(level, s.kw));
    for group in 0..s.groups {
        let mut column = 0;
        while column < cout {
            let left = cout - column;
            let width = if left > widest * lanes { widest.min(2) * lanes } else { left };
            let panel = Panel { s, group, column: group * cout + column, width };
            let registers = width.div_ceil(lanes);
            macro_rules! panels {
                ($($taps:literal $registers:literal $name:ident),*) => {
                    match (s.kw, registers) {
                        // SAFETY: the shape suits and lies inside the slices (asserted above), the panel's columns are `width` of the
                        // group's, and it has these taps and registers, of the `lanes` that S has at this level.
                        $(($taps, $registers) => unsafe {
                            dispatch!(level, $name(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]))
                        },)*
                        other => unreachable!("a panel of {other:?} taps and registers"),
                    }
                };
            }
            panels!(3 1 pairs_3x1, 3 2 pairs_3x2, 3 3 pairs_3x3, 5 1 pairs_5x1, 5 2 pairs_5x2);
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
        /// # Safety
        /// As for [`pairs`].
        #[inline(always)]
        unsafe fn $name<S: Simd>(panel: Panel<'_>, x: &[f32], dy: &[f32], dw: &mut [f32], zeros: &[f32]) {
            // SAFETY: as the caller answers for.
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

/// All pairs of kernel row and input channel of a panel.
///
/// # Safety
/// Where S may be used; the shape [`suits`], the slices have the floats of one image, its cotangent, the weights and a row of the
/// image; `KW` is the number of taps of a row, and the panel's columns are some of its group's, which fill `NV` registers but for
/// some lanes of the last.
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
                    // SAFETY: as the caller answers for; the pairs of all blocks add up to those of the kernel.
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
///
/// # Safety
/// As for [`pairs`], of which `first + R` are in the kernel.
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
    // SAFETY: a row is one of the image, as y < h, or the row of zeros; both have w pixels of cin floats, the group's among them.
    // Result p + left - tap of a row is one of its ow: found so for each pixel outside `inner`, and inside it for every tap, as
    // the padding is less than the taps and the stride is 1. Weights are those of a pair, its taps and the panel's columns; a
    // partial register goes as far as those.
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
