//! y = x convolved with w, plus a bias.
use super::slide::{self, Slide};
use super::{ConvShape, copy_inside};
use crate::kernels::tile::{Block, Update, multiply};
use crate::simd::Level;

/// Floats of scratch for [`forward`].
pub fn forward_scratch(s: &ConvShape) -> usize {
    let [h, w] = s.padded();
    if s.pads() { h * w * s.cin } else { 0 }
}

/// y = x convolved with w, plus a bias `[cout]`. Sums start from the bias, so the result can differ in the last bits
/// from that of adding it afterwards.
///
/// # Panics
/// If a slice is shorter than the shape says, or it is none of a convolution.
pub fn forward(
    level: Level,
    s: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    scratch: &mut [f32],
) {
    s.check();
    let ([image, result, _], [cin, cout]) = (s.floats(), s.per_group());
    let slides = slide_of(s);
    if s.kw > 1 && s.stride[1] == 1 && s.dilation[1] == 1 && slide::suits(level, &slides) {
        for n in 0..s.n {
            let (x, y) = (&x[n * image..][..image], &mut y[n * result..][..result]);
            for g in 0..s.groups {
                let bias = bias.map(|b| &b[g * cout..][..cout]);
                slide::correlate(level, &slides, &x[g * cin..], &w[g * cout..], bias, &mut y[g * cout..]);
            }
        }
        return;
    }
    let padded = &mut scratch[..forward_scratch(s)];
    padded.fill(0.0);
    let block = block_of(s);
    for n in 0..s.n {
        let (x, y) = (&x[n * image..][..image], &mut y[n * result..][..result]);
        let source = if s.pads() {
            copy_inside(s, x, padded);
            &*padded
        } else {
            x
        };
        for g in 0..s.groups {
            let bias = bias.map(|b| &b[g * cout..][..cout]);
            multiply(level, block, bias, &source[g * cin..], &w[g * cout..], &mut y[g * cout..]);
        }
    }
}

/// One group of one image where it is.
fn slide_of(s: &ConvShape) -> Slide {
    let [cin, cout] = s.per_group();
    Slide {
        image: [s.h, s.w],
        row: s.w * s.cin,
        pixel: s.cin,
        kernel: [s.kh, s.kw],
        terms: cin,
        lead: [s.padding[0] as isize, s.padding[1] as isize],
        stride: s.stride[0],
        dilation: s.dilation[0],
        kernel_row: s.kw * cin * s.cout,
        tap: cin * s.cout,
        channel: s.cout,
        result: [s.out_h(), s.out_w()],
        columns: cout,
        c_row: s.out_w() * s.cout,
        c_pixel: s.cout,
    }
}

/// One group of one padded image.
fn block_of(s: &ConvShape) -> Block {
    let ([_, pw], [cin, cout]) = (s.padded(), s.per_group());
    let (row, tap) = (s.dilation[0] * pw * s.cin, s.dilation[1] * s.cin);
    let (k, segments) = if s.rows_are_contiguous() { (s.kw * s.cin, [s.kh, 1]) } else { (cin, [s.kh, s.kw]) };
    Block {
        lines: s.out_h(),
        m: s.out_w(),
        n: cout,
        k,
        segments,
        a_line: s.stride[0] * pw * s.cin,
        a_row: s.stride[1] * s.cin,
        a_step: 1,
        a_segment: [row, tap],
        b_step: s.cout,
        b_segment: k * s.cout,
        c_line: s.out_w() * s.cout,
        c_row: s.cout,
        update: Update::Set,
    }
}
