//! Convolution with stride 1 along rows: a pixel that was read serves every tap of a kernel row.
//!
//! In the tile of `tile.rs` each multiply-add of a result one register wide needs a load of its own, and a machine loads
//! no more than it multiplies. Here the sums of neighbouring pixels slide over the image together: with three taps, 16
//! pixels are read for 42 multiply-adds. Taps that lie in the padding are left out, so images are read where they are.
use crate::kernels::span;
use crate::simd::{Level, Simd, dispatch, opaque};

/// Most pixels of a strip.
const STRIP: usize = 14;

/// A correlation of an image with a kernel: result pixel (y, x) is the sum over taps (ky, kx) and `terms` channels of
/// image pixel (y * stride + ky * dilation - lead[0], x + kx - lead[1]) times the weights of the tap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slide {
    /// Height and width of the image; floats from row to row and from pixel to pixel.
    pub image: [usize; 2],
    pub row: usize,
    pub pixel: usize,
    /// Height and width of the kernel, and channels that are summed over.
    pub kernel: [usize; 2],
    pub terms: usize,
    /// Pixels before the image that the first tap of the first result meets, or less than none.
    pub lead: [isize; 2],
    /// From row to row of the results and from row to row of the kernel, in rows of the image.
    pub stride: usize,
    pub dilation: usize,
    /// Floats from kernel row to kernel row, from tap to tap and from channel to channel of the weights.
    pub kernel_row: usize,
    pub tap: usize,
    pub channel: usize,
    /// Height and width of the result, its channels, and floats from row to row and from pixel to pixel.
    pub result: [usize; 2],
    pub columns: usize,
    pub c_row: usize,
    pub c_pixel: usize,
}

/// Most registers of channels that are computed together, with 32 registers in all or 16.
const fn widest(all: usize, taps: usize) -> usize {
    if all == 32 && taps == 3 { 3 } else { 2 }
}

/// Most pixels of a strip: beside their sums the registers hold the weights of a kernel row and a pixel.
const fn height(all: usize, taps: usize, registers: usize) -> usize {
    let free = all.saturating_sub(1 + taps * registers) / registers;
    if all == 16 && taps > 3 || registers > widest(all, taps) {
        0
    } else if free > STRIP {
        STRIP
    } else {
        free
    }
}

/// Registers of an instruction set; none where there is no telling what the compiler makes of them.
const fn registers<S: Simd>() -> usize {
    match S::HEIGHTS[0] {
        14 => 32,
        12 => 16,
        _ => 0,
    }
}

/// Whether [`correlate`] is quick at this level, for a correlation of these taps, in a row that are neighbours in the
/// image and belong to neighbouring results.
pub(super) fn suits(level: Level, s: &Slide) -> bool {
    let taps = match level {
        Level::Avx512 => 1..=5,
        // Sixteen registers are too few for more.
        Level::Avx2 => 1..=3,
        Level::Portable | Level::Neon => return false,
    };
    taps.contains(&s.kernel[1])
        && s.lead[1] < s.kernel[1] as isize
        && s.result[1] as isize - s.lead[1] <= s.image[1] as isize
}

impl Slide {
    /// Floats of the image, the weights and the result from their first to their last.
    fn extents(&self) -> [usize; 3] {
        let Slide { image: [h, w], kernel: [kh, kw], result: [rows, pixels], terms, columns, .. } = *self;
        [
            span([[h, self.row], [w, self.pixel]], terms),
            span([[kh, self.kernel_row], [kw, self.tap], [terms, self.channel]], columns),
            span([[rows, self.c_row], [pixels, self.c_pixel]], columns),
        ]
    }

    /// Whether some extent is zero.
    fn is_empty(&self) -> bool {
        [self.image, self.kernel, self.result, [self.terms, self.columns]].iter().flatten().any(|&n| n == 0)
    }
}

/// The correlation of x and w in y; sums start from the bias `[columns]` or zero. A sum takes rows of the kernel, channels
/// and taps of the row in this order.
///
/// # Panics
/// If a slice is shorter than the extents say, or they are zero or do not suit.
pub(super) fn correlate(level: Level, s: &Slide, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let need = s.extents();
    assert!(suits(level, s) && !s.is_empty(), "{s:?} does not slide");
    assert!(
        need[0] <= x.len() && need[1] <= w.len() && need[2] <= y.len() && bias.is_none_or(|b| b.len() >= s.columns),
        "{s:?} reaches past its operands"
    );
    let lanes = level.lanes();
    let widest = widest(if level == Level::Avx512 { 32 } else { 16 }, s.kernel[1]);
    let mut column = 0;
    while column < s.columns {
        // Panels of two registers, the last of up to three where there are enough for its sums.
        let left = s.columns - column;
        let width = if left > widest * lanes { 2 * lanes } else { left };
        // SAFETY: the column is one of the weights, of the bias and of the result, which reach to the last of them: asserted above.
        let panel = unsafe {
            Panel {
                x: x.as_ptr(),
                w: w.as_ptr().add(column),
                bias: bias.map_or(std::ptr::null(), |b| b.as_ptr().add(column)),
                y: y.as_mut_ptr().add(column),
                width,
            }
        };
        macro_rules! panels {
            ($($taps:literal $registers:literal $name:ident),*) => {
                match (s.kernel[1], width.div_ceil(lanes)) {
                    // SAFETY: the slide suits, has no extent that is zero and lies inside the slices (asserted above), the
                    // panel's columns are `width` of its own, and it has these taps and registers, of the `lanes` that S has at
                    // this level.
                    $(($taps, $registers) => unsafe { dispatch!(level, $name(s: &Slide, panel: Panel)) },)*
                    other => unreachable!("a panel of {other:?} taps and registers"),
                }
            };
        }
        panels!(1 1 lines_1x1, 1 2 lines_1x2, 2 1 lines_2x1, 2 2 lines_2x2, 3 1 lines_3x1, 3 2 lines_3x2, 3 3 lines_3x3,
            4 1 lines_4x1, 4 2 lines_4x2, 5 1 lines_5x1, 5 2 lines_5x2);
        column += width;
    }
}

/// Channels of the result that are computed together: where their operands start, and how many they are.
#[derive(Clone, Copy)]
struct Panel {
    x: *const f32,
    w: *const f32,
    bias: *const f32,
    y: *mut f32,
    width: usize,
}

macro_rules! widths {
    ($($name:ident: $taps:literal $registers:literal),*) => {$(
        /// # Safety
        /// As for [`lines`].
        #[inline(always)]
        unsafe fn $name<S: Simd>(s: &Slide, panel: Panel) {
            // SAFETY: as the caller answers for.
            unsafe { lines::<S, $taps, $registers>(s, panel) }
        }
    )*};
}
widths!(lines_1x1: 1 1, lines_1x2: 1 2, lines_2x1: 2 1, lines_2x2: 2 2, lines_3x1: 3 1, lines_3x2: 3 2, lines_3x3: 3 3,
    lines_4x1: 4 1, lines_4x2: 4 2, lines_5x1: 5 1, lines_5x2: 5 2);

/// Where a strip of pixels and its weights are.
struct Strip<'a> {
    s: &'a Slide,
    /// Rows of the kernel that meet the image.
    rows: usize,
    /// Floats of the last register.
    tail: usize,
    /// The first pixel of the image and the first one after it, counted from the one under the strip's first tap.
    first: isize,
    end: isize,
}

/// All lines of a panel.
///
/// # Safety
/// Where S may be used; the slide [`suits`], has no extent that is zero, and lies inside what the pointers begin, with the
/// columns of the panel, which fill `NV` registers but for some lanes of the last; `KW` is its number of taps. The bias is null
/// or has as many floats.
#[inline(always)]
unsafe fn lines<S: Simd, const KW: usize, const NV: usize>(s: &Slide, panel: Panel) {
    let limit = height(registers::<S>(), KW, NV);
    let strips = s.result[1].div_ceil(limit.max(1));
    let (low, high) = (s.result[1] / strips, s.result[1] % strips);
    let dilation = s.dilation as isize;
    for oy in 0..s.result[0] {
        // Rows ky of the kernel with 0 <= y0 + ky * dilation < height.
        let y0 = (oy * s.stride) as isize - s.lead[0];
        let from_row = ((-y0).max(0) as usize).div_ceil(s.dilation).min(s.kernel[0]);
        let to_row = ((s.image[0] as isize - y0).max(0) as usize).div_ceil(s.dilation).clamp(from_row, s.kernel[0]);
        let image_row = (y0 + from_row as isize * dilation) * s.row as isize;
        let mut from = 0;
        for strip in 0..strips {
            let height_here = low + usize::from(strip < high);
            let start = from as isize - s.lead[1];
            let parts = Strip {
                s,
                rows: to_row - from_row,
                tail: panel.width - (NV - 1) * S::LANES,
                first: -start,
                end: s.image[1] as isize - start,
            };
            // Outside the image this wraps; what is there is not read.
            let a = panel.x.wrapping_offset(image_row + start * s.pixel as isize);
            let b = panel.w.wrapping_add(from_row * s.kernel_row);
            // SAFETY: the strip's results are pixels of row oy, as the heights of all strips add up to its length. Rows of the
            // kernel from `from_row` on, before `to_row`, meet rows of the image: this is what both are computed for. Pixels from
            // `first` to `end` are those of the image, and none before the first KW - 1 or after the last KW - 1 is another, as
            // the slide suits.
            unsafe {
                let c = panel.y.add(oy * s.c_row + from * s.c_pixel);
                macro_rules! strips {
                    ($($rows:literal)*) => {
                        match height_here {
                            $($rows if const { $rows <= height(registers::<S>(), KW, NV) } => {
                                strip_of::<S, $rows, KW, NV>(&parts, a, b, panel.bias, c)
                            })*
                            height => unreachable!("a strip of {height} pixels"),
                        }
                    };
                }
                strips!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
            }
            from += height_here;
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
///
/// # Safety
/// As for [`lines`], with c at the strip's first result, b at the first of `strip.rows` rows of the kernel, and a where the first
/// tap of the first result meets the image in that row or, left of `strip.first`, would: from pixel KW - 1 to pixel MR the strip
/// lies in the image.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an iterator over the sums would put them in memory")]
unsafe fn strip_of<S: Simd, const MR: usize, const KW: usize, const NV: usize>(
    strip: &Strip<'_>,
    a: *const f32,
    b: *const f32,
    start: *const f32,
    c: *mut f32,
) {
    // SAFETY: a pixel is read where it was found to be in the image, or is one of those that always are; weights are those of the
    // rows, taps and channels of the kernel; a partial register is read and written as far as its columns go. All pointers that
    // step outside wrap.
    unsafe {
        let load = |p: *const f32, v: usize| {
            let p = p.add(v * S::LANES);
            if v + 1 == NV { S::load_partial(p, strip.tail) } else { S::load(p) }
        };
        let s = strip.s;
        let mut sums = [[S::splat(0.0); NV]; MR];
        if !start.is_null() {
            let mut bias = [S::splat(0.0); NV];
            for (v, register) in bias.iter_mut().enumerate() {
                *register = load(start, v);
            }
            sums = [bias; MR];
        }
        // As in the tile: the compiler must not derive each pixel's address from the one before.
        let (stride, share) = (opaque(s.pixel), opaque(SHARE * s.pixel));
        let offsets: [usize; SHARE] = [0, stride, 2 * stride, opaque(3 * s.pixel), 4 * stride];
        for row in 0..strip.rows {
            let a = a.wrapping_add(row * s.dilation * s.row);
            let mut bases = [a, a.wrapping_add(share), a.wrapping_add(2 * share), a.wrapping_add(3 * share)];
            let mut b = b.wrapping_add(row * s.kernel_row);
            for _ in 0..s.terms {
                let mut weights = [[S::splat(0.0); NV]; KW];
                for (tap, registers) in weights.iter_mut().enumerate() {
                    for (v, register) in registers.iter_mut().enumerate() {
                        *register = load(b.add(tap * s.tap), v);
                    }
                }
                each_pixel!(p < MR + KW - 1, {
                    // Only the outermost pixels can lie in the padding.
                    if (p >= KW - 1 || p as isize >= strip.first) && (p < MR || (p as isize) < strip.end) {
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
                b = b.wrapping_add(s.channel);
            }
        }
        each_pixel!(i < MR, {
            for v in 0..NV {
                let to = c.add(i * s.c_pixel + v * S::LANES);
                if v + 1 == NV { S::store_partial(to, sums[i][v], strip.tail) } else { S::store(to, sums[i][v]) }
            }
        });
    }
}
