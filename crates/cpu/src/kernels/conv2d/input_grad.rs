//! dx: the adjoint of a convolution in its image, phase after phase of the stride.
use super::phase::{Axis, Phase};
use super::planes::{self, Planes};
use super::slide::{self, Slide};
use super::{ConvShape, tap_planes};
use crate::kernels::tile::{Block, Update, multiply};
use crate::kernels::transpose::transpose;
use crate::simd::Level;

/// Floats of scratch for [`input_grad`].
pub fn input_grad_scratch(s: &ConvShape) -> usize {
    if tap_planes::suits(s) {
        return tap_planes::scratch(s);
    }
    let ([_, _, weights], padded) = (s.floats(), Padded::of(s));
    weights + padded.floats(s) + if is_narrow(s) { padded.planes(s).into_iter().sum() } else { 0 }
}

/// dx: the adjoint of the convolution in x.
///
/// # Panics
/// If a slice is shorter than the shape says, or it is none of a convolution.
pub fn input_grad(level: Level, s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
    s.check();
    if tap_planes::suits(s) {
        return tap_planes::input_grad(level, s, dy, w, dx, scratch);
    }
    let ([image, result, weights], padded) = (s.floats(), Padded::of(s));
    let (turned, scratch) = scratch.split_at_mut(weights);
    let (copy, scratch) = scratch.split_at_mut(padded.floats(s));
    let each_phase = || axis(s, 0).phases().flat_map(|y| axis(s, 1).phases().map(move |x| [y, x]));
    let narrow = is_narrow(s) && planes::suits(level, s.cin, s.w.div_ceil(s.stride[1]));
    let copies = narrow || each_phase().any(|phase| !slides(level, s, phase));
    copy.fill(0.0);
    let mut place = 0;
    for phase in each_phase() {
        place += turn(level, s, phase, w, &mut turned[place..]);
    }
    for n in 0..s.n {
        let (dy, dx) = (&dy[n * result..][..result], &mut dx[n * image..][..image]);
        if !(axis(s, 0).is_covered() && axis(s, 1).is_covered()) {
            dx.fill(0.0);
        }
        if copies {
            padded.copy(s, dy, copy);
        }
        if narrow {
            let [size, _] = padded.planes(s);
            planes::to_planes(level, padded.size[0] * padded.size[1], s.cout, copy, &mut scratch[..size]);
        }
        let mut rest = &*turned;
        for phase in each_phase() {
            if narrow {
                let (planes, sums) = scratch.split_at_mut(padded.planes(s)[0]);
                narrow_gradient(level, s, phase, planes, &padded, rest, sums, dx);
            } else {
                gradient(level, s, phase, [dy, copy], &padded, rest, dx);
            }
            rest = &rest[taps(phase) * s.cin / s.groups * s.cout..];
        }
    }
}

/// Whether the image has so few channels that pixels should take the lanes.
fn is_narrow(s: &ConvShape) -> bool {
    s.groups == 1 && planes::may_suit(s.cin)
}

fn axis(s: &ConvShape, i: usize) -> Axis {
    Axis {
        size: [s.h, s.w][i],
        result: [s.out_h(), s.out_w()][i],
        taps: [s.kh, s.kw][i],
        stride: s.stride[i],
        dilation: s.dilation[i],
        before: s.padding[i],
    }
}

fn taps(phase: [Phase; 2]) -> usize {
    phase[0].taps * phase[1].taps
}

/// Weights of a phase, taps in reverse order and channels of each group exchanged: `[taps, cout / groups, cin]`. Returns
/// how many there are.
fn turn(level: Level, s: &ConvShape, phase: [Phase; 2], w: &[f32], to: &mut [f32]) -> usize {
    let [cin, cout] = s.per_group();
    let tap = |i: usize, at: usize| phase[i].last_tap - at * phase[i].tap_step;
    let places = (0..phase[0].taps).flat_map(|y| (0..phase[1].taps).map(move |x| [y, x]));
    for (i, [y, x]) in places.enumerate() {
        let (from, to) = ((tap(0, y) * s.kw + tap(1, x)) * cin * s.cout, &mut to[i * cout * s.cin..]);
        for g in 0..s.groups {
            transpose(level, [cin, cout], &w[from + g * cout..], s.cout, &mut to[g * cin..], s.cin);
        }
    }
    taps(phase) * cout * s.cin
}

/// The cotangent with as many zeros around it as the phases reach out to.
#[derive(Clone, Copy, Debug)]
struct Padded {
    before: [usize; 2],
    size: [usize; 2],
}

impl Padded {
    fn of(s: &ConvShape) -> Padded {
        let around = [0, 1].map(|i| {
            let axis = axis(s, i);
            let reach = |p: Phase| ((p.count - 1 + (p.taps - 1) * p.dilation) as isize - p.lead + 1).max(0) as usize;
            let before = axis.phases().map(|p| p.lead.max(0) as usize).max().unwrap_or(0);
            (before, before + axis.phases().map(reach).fold(axis.result, usize::max))
        });
        Padded { before: around.map(|a| a.0), size: around.map(|a| a.1) }
    }

    /// Floats of the padded cotangent; the last row of planes is whole.
    fn floats(&self, s: &ConvShape) -> usize {
        planes::image_planes(s.cout, self.size[0] * self.size[1]).0
    }

    /// Floats of its planes and of the planes of a phase's gradient.
    fn planes(&self, s: &ConvShape) -> [usize; 2] {
        let most = |i: usize| axis(s, i).phases().map(|p| p.count).max().unwrap_or(0);
        [self.floats(s), s.cin * planes::result_plane([most(0), most(1)])]
    }

    /// Copies a cotangent into the middle of its padded form, whose border is zero already.
    fn copy(&self, s: &ConvShape, dy: &[f32], to: &mut [f32]) {
        for (y, row) in dy.chunks_exact(s.out_w() * s.cout).enumerate() {
            to[((y + self.before[0]) * self.size[1] + self.before[1]) * s.cout..][..row.len()].copy_from_slice(row);
        }
    }
}

/// Whether a phase is computed from the cotangent where it is.
fn slides(level: Level, s: &ConvShape, phase: [Phase; 2]) -> bool {
    // With one tap rows of pixels are rows of one product, if nothing is between them.
    let joined = s.kh * s.kw == 1 && s.stride == [1, 1];
    phase[1].dilation == 1 && !joined && slide::suits(level, &slide_of(s, phase))
}

/// One group of a phase.
fn slide_of(s: &ConvShape, [y, x]: [Phase; 2]) -> Slide {
    let [cin, cout] = s.per_group();
    Slide {
        image: [s.out_h(), s.out_w()],
        row: s.out_w() * s.cout,
        pixel: s.cout,
        kernel: [y.taps, x.taps],
        terms: cout,
        lead: [y.lead, x.lead],
        stride: 1,
        dilation: y.dilation,
        kernel_row: x.taps * cout * s.cin,
        tap: cout * s.cin,
        channel: s.cin,
        result: [y.count, x.count],
        columns: cin,
        c_row: s.stride[0] * s.w * s.cin,
        c_pixel: s.stride[1] * s.cin,
    }
}

/// One group of a phase on the padded cotangent.
fn block_of(s: &ConvShape, padded: &Padded, [y, x]: [Phase; 2]) -> Block {
    let [cin, cout] = s.per_group();
    let row = padded.size[1] * s.cout;
    let contiguous = s.groups == 1 && x.dilation == 1;
    let (k, segments) = if contiguous { (x.taps * cout, [y.taps, 1]) } else { (cout, [y.taps, x.taps]) };
    Block {
        lines: y.count,
        m: x.count,
        n: cin,
        k,
        segments,
        a_line: row,
        a_row: s.cout,
        a_step: 1,
        a_segment: [y.dilation * row, x.dilation * s.cout],
        b_step: s.cin,
        b_segment: k * s.cin,
        c_line: s.stride[0] * s.w * s.cin,
        c_row: s.stride[1] * s.cin,
        update: Update::Set,
    }
}

/// The gradient of a phase's pixels from the cotangent, bare and padded, and the phase's weights.
fn gradient(
    level: Level,
    s: &ConvShape,
    phase: [Phase; 2],
    [dy, copy]: [&[f32]; 2],
    padded: &Padded,
    weights: &[f32],
    dx: &mut [f32],
) {
    let [cin, cout] = s.per_group();
    let dx = &mut dx[(phase[0].first * s.w + phase[1].first) * s.cin..];
    if slides(level, s, phase) {
        let slide = slide_of(s, phase);
        for g in 0..s.groups {
            slide::correlate(level, &slide, &dy[g * cout..], &weights[g * cin..], None, &mut dx[g * cin..]);
        }
        return;
    }
    let block = block_of(s, padded, phase);
    let [y, x] = [0, 1].map(|i| padded.before[i].wrapping_add_signed(-phase[i].lead));
    let from = (y * padded.size[1] + x) * s.cout;
    for g in 0..s.groups {
        multiply(level, block, None, &copy[from + g * cout..], &weights[g * cin..], &mut dx[g * cin..]);
    }
}

/// The gradient of a phase's pixels, few channels each, from the planes of the padded cotangent.
#[expect(clippy::too_many_arguments, reason = "what a phase reads and writes")]
fn narrow_gradient(
    level: Level,
    s: &ConvShape,
    phase: [Phase; 2],
    planes: &[f32],
    padded: &Padded,
    weights: &[f32],
    sums: &mut [f32],
    dx: &mut [f32],
) {
    let [y, x] = phase;
    let (_, plane) = planes::image_planes(s.cout, padded.size[0] * padded.size[1]);
    let correlation = Planes {
        terms: s.cout,
        plane,
        row: padded.size[1],
        dilation: [y.dilation, x.dilation],
        kernel: [y.taps, x.taps],
        kernel_row: x.taps * s.cout * s.cin,
        tap: s.cout * s.cin,
        channel: s.cin,
        outputs: s.cin,
        result: [y.count, x.count],
    };
    let [above, before] = [0, 1].map(|i| padded.before[i].wrapping_add_signed(-phase[i].lead));
    let from = &planes[above * padded.size[1] + before..];
    planes::correlate(level, &correlation, from, weights, sums);
    let to = &mut dx[(y.first * s.w + x.first) * s.cin..];
    let strides = [s.stride[0] * s.w * s.cin, s.stride[1] * s.cin];
    planes::from_planes(level, s.cin, [y.count, x.count], sums, to, strides);
}
