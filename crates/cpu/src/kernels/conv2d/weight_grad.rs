//! dw: the adjoint of a convolution in its weights, summed over the samples.
use super::{ConvShape, copy_inside, forward_scratch, slide_grad};
use crate::kernels::tile::{Block, Update, multiply};
use crate::simd::Level;

/// Floats of scratch for [`weight_grad`].
pub fn weight_grad_scratch(s: &ConvShape) -> usize {
    let [_, _, weights] = s.floats();
    (forward_scratch(s) + weights).max(slide_grad::scratch(s))
}

/// dw += the adjoint of the convolution in w, summed over the samples.
///
/// # Panics
/// If a slice is shorter than the shape says, or it is none of a convolution.
pub fn weight_grad(level: Level, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    s.check();
    let [image, result, _] = s.floats();
    if turns(level, s) {
        return turned(level, s, x, dy, dw, scratch);
    }
    if slide_grad::suits(level, s) {
        let zeros = &mut scratch[..slide_grad::scratch(s)];
        zeros.fill(0.0);
        for n in 0..s.n {
            slide_grad::weight_grad(level, s, &x[n * image..][..image], &dy[n * result..][..result], dw, zeros);
        }
        return;
    }
    by_rows(level, s, x, dy, dw, scratch);
}

/// Whether a kernel row with its input channels fills registers so much better than output channels do that it should
/// take the lanes.
fn turns(level: Level, s: &ConvShape) -> bool {
    let lanes = level.lanes();
    let filled = |n: usize| n as f64 / n.next_multiple_of(lanes) as f64;
    // Images in place and fewer loads are worth a little.
    s.rows_are_contiguous() && s.cout >= 7 && filled(s.kw * s.cin) > 1.15 * filled(s.cout)
}

/// The transposed gradient `[cout, kh, kw, cin]`: rows of the product are output channels.
fn turned(level: Level, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let ([_, pw], [image, result, weights]) = (s.padded(), s.floats());
    let (sums, padded) = scratch.split_at_mut(weights);
    let padded = &mut padded[..forward_scratch(s)];
    sums.fill(0.0);
    padded.fill(0.0);
    let row = s.kw * s.cin;
    let block = Block {
        lines: 1,
        m: s.cout,
        n: row,
        k: s.out_w(),
        segments: [s.out_h(), 1],
        a_line: 0,
        a_row: 1,
        a_step: s.cout,
        a_segment: [s.out_w() * s.cout, 0],
        b_step: s.stride[1] * s.cin,
        b_segment: s.stride[0] * pw * s.cin,
        c_line: 0,
        c_row: s.kh * row,
        update: Update::Add,
    };
    for n in 0..s.n {
        let (x, dy) = (&x[n * image..][..image], &dy[n * result..][..result]);
        let source = if s.pads() {
            copy_inside(s, x, padded);
            &*padded
        } else {
            x
        };
        for ky in 0..s.kh {
            multiply(level, block, None, dy, &source[ky * s.dilation[0] * pw * s.cin..], &mut sums[ky * row..]);
        }
    }
    for (place, to) in dw.chunks_exact_mut(s.cout).take(s.kh * row).enumerate() {
        for (to, sum) in to.iter_mut().zip(sums[place..].iter().step_by(s.kh * row)) {
            *to += sum;
        }
    }
}

/// Rows of the product are the taps of a kernel row and their channels.
fn by_rows(level: Level, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let ([ph, pw], [cin, cout], [image, result, _]) = (s.padded(), s.per_group(), s.floats());
    let padded = &mut scratch[..if s.pads() { ph * pw * s.cin } else { 0 }];
    padded.fill(0.0);
    // One product where they lie together.
    let (m, taps) = if s.rows_are_contiguous() { (s.kw * s.cin, 1) } else { (cin, s.kw) };
    let block = Block {
        lines: s.kh,
        m,
        n: cout,
        k: s.out_w(),
        segments: [s.out_h(), 1],
        a_line: s.dilation[0] * pw * s.cin,
        a_row: 1,
        a_step: s.stride[1] * s.cin,
        a_segment: [s.stride[0] * pw * s.cin, 0],
        b_step: s.cout,
        b_segment: s.out_w() * s.cout,
        c_line: s.kw * cin * s.cout,
        c_row: s.cout,
        update: Update::Add,
    };
    for n in 0..s.n {
        let (x, dy) = (&x[n * image..][..image], &dy[n * result..][..result]);
        let source = if s.pads() {
            copy_inside(s, x, padded);
            &*padded
        } else {
            x
        };
        for kx in 0..taps {
            for g in 0..s.groups {
                let a = &source[kx * s.dilation[1] * s.cin + g * cin..];
                let c = &mut dw[kx * cin * s.cout + g * cout..];
                multiply(level, block, None, a, &dy[g * cout..], c);
            }
        }
    }
}
