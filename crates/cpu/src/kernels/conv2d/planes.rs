//! Convolution to few channels, which would fill few lanes: pixels take the lanes instead.
//!
//! The image comes as planes, one a channel; weights are broadcast, and each register holds a stretch of a row of one
//! plane of the result. Planes are made from and turned into channels last in squares of registers.
use crate::kernels::transpose::transpose;
use crate::kernels::{product, span};
use crate::simd::{Level, MOST_LANES, Simd, dispatch};

/// Most channels of a result for which it pays, with 32 registers and with fewer.
const FEW: usize = 12;
const FEWER: usize = 6;
/// Floats that follow each plane of a result and all planes of an image: registers reach over the end of rows.
const SLACK: usize = MOST_LANES;

/// Whether a gradient of rows of so many pixels is quicker with pixels in the lanes than with channels.
pub(super) fn suits(level: Level, channels: usize, pixels: usize) -> bool {
    let lanes = level.lanes();
    let filled = |n: usize| n as f64 / n.next_multiple_of(lanes) as f64;
    let few = channels <= if level == Level::Avx512 { FEW } else { FEWER };
    few && filled(pixels) * REST > filled(channels)
}

/// What making planes, turning them back and loads across cache lines leave of the speed, as measured.
const REST: f64 = 0.65;

/// Whether it may be so at some level.
pub(super) fn may_suit(channels: usize) -> bool {
    channels <= FEW
}

/// A correlation of planes: result pixel (y, x) of an output is the sum over terms and taps (ky, kx) of plane pixel
/// (y + ky * dilation[0], x + kx * dilation[1]) times the weight of term, tap and output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    /// Planes of the image; floats from plane to plane and from row to row.
    pub terms: usize,
    pub plane: usize,
    pub row: usize,
    pub dilation: [usize; 2],
    pub kernel: [usize; 2],
    /// Floats from kernel row to kernel row, from tap to tap and from term to term of the weights.
    pub kernel_row: usize,
    pub tap: usize,
    pub channel: usize,
    /// Channels of the result, at most [`FEW`], its height and its width.
    pub outputs: usize,
    pub result: [usize; 2],
}

/// From plane to plane of the result.
pub(super) fn result_plane([h, w]: [usize; 2]) -> usize {
    h * w + SLACK
}

/// Floats of the planes of `terms` channels of so many pixels, and from one to the next.
pub(super) fn image_planes(terms: usize, pixels: usize) -> (usize, usize) {
    let plane = pixels.next_multiple_of(SLACK);
    (terms * plane + SLACK, plane)
}

impl Planes {
    /// Floats of the image, the weights and the result that are read or written, registers' reach over rows included.
    fn extents(&self) -> [usize; 3] {
        let Planes { terms, kernel: [kh, kw], dilation: [down, along], result: [h, w], row, .. } = *self;
        let taps = [[kh, product([down, row])], [kw, along]];
        [
            span([[terms, self.plane], [h, row], [w, 1], taps[0], taps[1]], 1 + SLACK),
            span([[kh, self.kernel_row], [kw, self.tap], [terms, self.channel]], self.outputs),
            product([self.outputs, product([h, w]).saturating_add(SLACK)]),
        ]
    }
}

/// Planes `[outputs, h * w + slack]` of the result.
///
/// # Panics
/// If a slice is shorter than the extents say, they are zero, or there are too many outputs.
pub(super) fn correlate(level: Level, p: &Planes, x: &[f32], w: &[f32], y: &mut [f32]) {
    let need = p.extents();
    assert!([p.kernel, p.result, [p.terms, p.outputs]].iter().flatten().all(|&n| n > 0), "{p:?} is empty");
    assert!(need[0] <= x.len() && need[1] <= w.len() && need[2] <= y.len(), "{p:?} reaches past its operands");
    // SAFETY: no extent is zero and none reaches past the slices, as asserted just now.
    unsafe { dispatch!(level, outputs(p: &Planes, x: &[f32], w: &[f32], y: &mut [f32])) };
}

/// # Safety
/// Where S may be used, no extent is zero, and the slices have the floats of [`Planes::extents`].
#[inline(always)]
unsafe fn outputs<S: Simd>(p: &Planes, x: &[f32], w: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for, with as many outputs as are matched.
    unsafe {
        match p.outputs {
            1 => stretches::<S, 1, 7>(p, x, w, y),
            2 => stretches::<S, 2, 6>(p, x, w, y),
            3 => stretches::<S, 3, 4>(p, x, w, y),
            4 => stretches::<S, 4, 4>(p, x, w, y),
            5 => stretches::<S, 5, 4>(p, x, w, y),
            6 => stretches::<S, 6, 4>(p, x, w, y),
            7 => stretches::<S, 7, 2>(p, x, w, y),
            8 => stretches::<S, 8, 2>(p, x, w, y),
            9 => stretches::<S, 9, 2>(p, x, w, y),
            10 => stretches::<S, 10, 2>(p, x, w, y),
            11 => stretches::<S, 11, 2>(p, x, w, y),
            12 => stretches::<S, 12, 2>(p, x, w, y),
            outputs => panic!("{outputs} outputs are not few"),
        }
    }
}

/// All stretches of rows, `NV` at a time; a last few are computed more than once to make up the number.
///
/// # Safety
/// As for [`outputs`], of which there are `MR`.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an iterator over the sums would put them in memory")]
unsafe fn stretches<S: Simd, const MR: usize, const NV: usize>(p: &Planes, x: &[f32], w: &[f32], y: &mut [f32]) {
    let [height, width] = p.result;
    let across = width.div_ceil(S::LANES);
    let last = height * across - 1;
    let plane = result_plane(p.result);
    for first in (0..=last).step_by(NV) {
        let places: [[usize; 2]; NV] = std::array::from_fn(|v| {
            let stretch = (first + v).min(last);
            // The last of a row overlaps the one before rather than the row after, where the row is long enough.
            [stretch / across, (stretch % across * S::LANES).min(width.saturating_sub(S::LANES))]
        });
        // SAFETY: a register at a pixel of the result reaches no further than the slack, which has its lanes, in the image and in
        // the result: both extents count it. Weights are those of the rows, taps and terms; after the last term their pointer
        // wraps and is not read. Rows shorter than a register are stored in ascending order, each over what the one before left
        // in its place.
        unsafe {
            let mut sums = [[S::splat(0.0); NV]; MR];
            let bases: [*const f32; NV] = std::array::from_fn(|v| x.as_ptr().add(places[v][0] * p.row + places[v][1]));
            for ky in 0..p.kernel[0] {
                for kx in 0..p.kernel[1] {
                    let mut from = ky * p.dilation[0] * p.row + kx * p.dilation[1];
                    let mut weights = w.as_ptr().add(ky * p.kernel_row + kx * p.tap);
                    for _ in 0..p.terms {
                        let mut pixels = [S::splat(0.0); NV];
                        for v in 0..NV {
                            pixels[v] = S::load(bases[v].add(from));
                        }
                        for i in 0..MR {
                            let weight = S::splat(*weights.add(i));
                            for v in 0..NV {
                                sums[i][v] = S::mul_add(weight, pixels[v], sums[i][v]);
                            }
                        }
                        from += p.plane;
                        weights = weights.wrapping_add(p.channel);
                    }
                }
            }
            for i in 0..MR {
                for v in 0..NV {
                    let to = y.as_mut_ptr().add(i * plane + places[v][0] * width + places[v][1]);
                    S::store(to, sums[i][v]);
                }
            }
        }
    }
}

/// Planes of an image `[pixels, terms]` whose floats go on for at least a plane's slack after its end.
pub(super) fn to_planes(level: Level, pixels: usize, terms: usize, from: &[f32], to: &mut [f32]) {
    let (_, plane) = image_planes(terms, pixels);
    transpose(level, [plane, terms], from, terms, to, plane);
}

/// Result planes as pixels of channels last, `pixel` and `row` floats apart.
pub(super) fn from_planes(
    level: Level,
    outputs: usize,
    [h, w]: [usize; 2],
    from: &[f32],
    to: &mut [f32],
    [row, pixel]: [usize; 2],
) {
    let plane = result_plane([h, w]);
    if row == w * pixel {
        return transpose(level, [outputs, h * w], from, plane, to, pixel);
    }
    for y in 0..h {
        transpose(level, [outputs, w], &from[y * w..], plane, &mut to[y * row..], pixel);
    }
}
