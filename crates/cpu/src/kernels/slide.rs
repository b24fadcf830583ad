//! Convolution with stride 1 along rows: a pixel that was read serves every tap of a kernel row.
//!
//! In the tile of `tile.rs` each multiply-add of a result one register wide needs a load of its own, and a machine loads
//! no more than it multiplies. Here the sums of neighbouring pixels slide over the image together: with three taps, 16
//! pixels are read for 42 multiply-adds. Taps that lie in the padding are left out, so images are read where they are.
use super::conv2d::ConvShape;
use crate::dispatch;
use crate::simd::{Level, Simd, opaque};

/// Most pixels of a strip.
const STRIP: usize = 14;

/// Whether [`correlate`] can compute this convolution at this level.
pub(super) fn suits(level: Level, s: &ConvShape) -> bool {
    let [_, left, _, right] = s.padding;
    // Sixteen registers are too few for five taps, and the portable form has no registers to plan with.
    let taps = if level == Level::Avx512 { s.kw == 3 || s.kw == 5 } else { level == Level::Avx2 && s.kw == 3 };
    taps && s.stride[1] == 1 && s.dilation[1] == 1 && left.max(right) < s.kw
}

/// y `[oh, ow, cout]` from one image x `[h, w, cin]`, weights `[kh, kw, cin / groups, cout]` and a bias `[cout]`. A sum
/// starts from the bias and takes rows of the kernel, channels and taps of the row in this order.
///
/// # Panics
/// If a slice is shorter than the shape says, or the shape does not suit.
pub(super) fn correlate(level: Level, s: &ConvShape, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let (cin, cout) = (s.cin / s.groups, s.cout / s.groups);
    assert!(suits(level, s), "{s:?} does not slide");
    assert!(
        x.len() >= s.h * s.w * s.cin
            && w.len() >= s.kh * s.kw * cin * s.cout
            && y.len() >= s.out_h() * s.out_w() * s.cout
            && bias.is_none_or(|b| b.len() >= s.cout),
        "{s:?} reaches past its operands"
    );
    let lanes = level.lanes();
    for group in 0..s.groups {
        let mut column = 0;
        while column < cout {
            // Panels of two registers, the last of up to three where there are enough for its sums.
            let (left, widest) = (cout - column, if level == Level::Avx512 { 3 } else { 2 });
            let width = if left > widest * lanes { 2 * lanes } else { left };
            let panel = Panel { s, group, column: group * cout + column, width };
            let registers = width.div_ceil(lanes);
            match (s.kw, registers) {
                (3, 1) => {
                    dispatch!(level, lines_3x1(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]))
                }
                (3, 2) => {
                    dispatch!(level, lines_3x2(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]))
                }
                (3, _) => {
                    dispatch!(level, lines_3x3(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]))
                }
                (_, 1) => {
                    dispatch!(level, lines_5x1(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]))
                }
                (_, 2) => {
                    dispatch!(level, lines_5x2(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]))
                }
                _ => {
                    dispatch!(level, lines_5x3(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]))
                }
            }
            column += width;
        }
    }
}

/// Channels of the result that are computed together.
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
        unsafe fn $name<S: Simd>(panel: Panel<'_>, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
            // SAFETY: handed on.
            unsafe { lines::<S, $taps, $registers>(panel, x, w, bias, y) }
        }
    )*};
}
widths!(lines_3x1: 3 1, lines_3x2: 3 2, lines_3x3: 3 3, lines_5x1: 5 1, lines_5x2: 5 2, lines_5x3: 5 3);

/// Most rows of sums: beside them the registers hold the weights of a kernel row and a pixel.
const fn height(lanes: usize, taps: usize, registers: usize) -> usize {
    let all = if lanes == 16 { 32usize } else { 16 };
    let free = all.saturating_sub(1 + taps * registers) / registers;
    if free > STRIP { STRIP } else { free }
}

/// Where a strip of pixels and its weights are.
struct Strip {
    /// Channels.
    terms: usize,
    /// Rows of the kernel that meet the image, and from one to the next in the image and in the weights.
    rows: usize,
    row: usize,
    kernel_row: usize,
    /// From pixel to pixel of the image.
    pixel: usize,
    /// From tap to tap and from channel to channel of the weights.
    tap: usize,
    channel: usize,
    /// From pixel to pixel of the result.
    result: usize,
    /// Floats of the last register.
    tail: usize,
    /// Pixels at the start that lie in the padding, and the first one after the strip's that does again.
    first: usize,
    end: usize,
}

#[inline(always)]
unsafe fn lines<S: Simd, const KW: usize, const NV: usize>(
    panel: Panel<'_>,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let Panel { s, group, column, width } = panel;
    let (cin, [top, left, _, _]) = (s.cin / s.groups, s.padding);
    let (oh, ow) = (s.out_h(), s.out_w());
    let limit = height(S::LANES, KW, NV);
    let strips = ow.div_ceil(limit);
    let (low, high) = (ow / strips, ow % strips);
    let tap = cin * s.cout;
    for oy in 0..oh {
        // Rows ky with top <= oy * stride + ky * dilation < top + h.
        let y0 = oy * s.stride[0];
        let from_row = top.saturating_sub(y0).div_ceil(s.dilation[0]).min(s.kh);
        let to_row = (top + s.h).saturating_sub(y0).div_ceil(s.dilation[0]).clamp(from_row, s.kh);
        let image_row = (y0 + from_row * s.dilation[0]).wrapping_sub(top);
        let mut from = 0;
        for strip in 0..strips {
            let height = low + usize::from(strip < high);
            let parts = Strip {
                terms: cin,
                rows: to_row - from_row,
                row: s.dilation[0] * s.w * s.cin,
                kernel_row: KW * tap,
                pixel: s.cin,
                tap,
                channel: s.cout,
                result: s.cout,
                tail: width - (NV - 1) * S::LANES,
                first: left.saturating_sub(from),
                end: (left + s.w).saturating_sub(from),
            };
            // Steps outside the image wrap; what is there is not read.
            let a = x
                .as_ptr()
                .wrapping_add(image_row.wrapping_mul(s.w).wrapping_add(from).wrapping_sub(left).wrapping_mul(s.cin));
            let a = a.wrapping_add(group * cin);
            let b = w.as_ptr().wrapping_add(from_row * KW * tap + column);
            // SAFETY: `correlate` checked the slices against the shape; the strip's pixels from `first` to `end` and its
            // rows lie in the image, its results in y. No strip is higher than the limit.
            unsafe {
                let c = y.as_mut_ptr().add((oy * ow + from) * s.cout + column);
                let start = bias.map_or(std::ptr::null(), |b| b.as_ptr().add(column));
                macro_rules! strips {
                    ($($rows:literal)*) => {
                        match height {
                            $($rows if $rows <= limit => strip_of::<S, $rows, KW, NV>(&parts, a, b, start, c),)*
                            height => unreachable!("a strip of {height} pixels"),
                        }
                    };
                }
                strips!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
            }
            from += height;
        }
    }
}

/// Pixels that share a base pointer: 0, 1, 2, 3 and 4 strides from it, all of which an address can hold.
const SHARE: usize = 5;

/// Repeats a block for each pixel. The compiler gives up unrolling the highest strips, and with that their registers.
macro_rules! each_pixel {
    ($p:ident < $n:expr, $body:block) => { each_pixel!(@ $p $n, $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17) };
    (@ $p:ident $n:expr, $body:block $($pixel:literal)*) => {
        $({ let $p: usize = $pixel; if $p < $n $body })*
    };
}

/// `MR` pixels of a line by `NV` registers of channels under `KW` taps.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an iterator over the sums would put them in memory")]
unsafe fn strip_of<S: Simd, const MR: usize, const KW: usize, const NV: usize>(
    strip: &Strip,
    a: *const f32,
    b: *const f32,
    start: *const f32,
    c: *mut f32,
) {
    // SAFETY: as the caller says; a partial register reads and writes no further.
    unsafe {
        let load = |p: *const f32, v: usize| {
            let p = p.add(v * S::LANES);
            if v + 1 == NV { S::load_partial(p, strip.tail) } else { S::load(p) }
        };
        let mut sums = [[S::splat(0.0); NV]; MR];
        if !start.is_null() {
            let mut bias = [S::splat(0.0); NV];
            for (v, register) in bias.iter_mut().enumerate() {
                *register = load(start, v);
            }
            sums = [bias; MR];
        }
        // As in the tile: the compiler must not derive each pixel's address from the one before.
        let (stride, share) = (opaque(strip.pixel), opaque(SHARE * strip.pixel));
        let offsets: [usize; SHARE] = [0, stride, 2 * stride, opaque(3 * strip.pixel), 4 * stride];
        for row in 0..strip.rows {
            let a = a.wrapping_add(row * strip.row);
            let mut bases = [a, a.wrapping_add(share), a.wrapping_add(2 * share), a.wrapping_add(3 * share)];
            let mut b = b.add(row * strip.kernel_row);
            for _ in 0..strip.terms {
                let mut weights = [[S::splat(0.0); NV]; KW];
                for (tap, registers) in weights.iter_mut().enumerate() {
                    for (v, register) in registers.iter_mut().enumerate() {
                        *register = load(b.add(tap * strip.tap), v);
                    }
                }
                each_pixel!(p < MR + KW - 1, {
                    // Only the outermost pixels can lie in the padding.
                    if (p >= KW - 1 || p >= strip.first) && (p < MR || p < strip.end) {
                        let x = S::splat(*bases[p / SHARE].wrapping_add(offsets[p % SHARE]));
                        each_pixel!(tap < KW, {
                            if p >= tap && p - tap < MR {
                                for v in 0..NV {
                                    sums[p - tap][v] = S::mul_add(x, weights[tap][v], sums[p - tap][v]);
                                }
                            }
                        });
                    }
                });
                for base in &mut bases {
                    *base = base.wrapping_add(1);
                }
                b = b.wrapping_add(strip.channel);
            }
        }
        each_pixel!(i < MR, {
            for v in 0..NV {
                let to = c.add(i * strip.result + v * S::LANES);
                if v + 1 == NV { S::store_partial(to, sums[i][v], strip.tail) } else { S::store(to, sums[i][v]) }
            }
        });
    }
}
