//! Convolution with channels last: x NHWC, w HWIO, y NHWC, and its two adjoints.
//!
//! Images are copied once with their zero padding; a row of the kernel then meets contiguous memory, and every pass is
//! the register tile of `tile.rs` on rows of pixels.
use super::few_channels;
use super::tile::{Block, Update, multiply};
use super::transpose::transpose;
use super::{slide, slide_grad};
use crate::simd::Level;

/// Extents of a convolution. Padding is top, left, bottom, right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ConvShape {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub cin: usize,
    pub cout: usize,
    pub kh: usize,
    pub kw: usize,
    pub stride: [usize; 2],
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
    pub groups: usize,
}

impl ConvShape {
    /// Rows of the result.
    pub fn out_h(&self) -> usize {
        (self.h + self.padding[0] + self.padding[2] - self.reach()[0]) / self.stride[0] + 1
    }

    /// Columns of the result.
    pub fn out_w(&self) -> usize {
        (self.w + self.padding[1] + self.padding[3] - self.reach()[1]) / self.stride[1] + 1
    }

    /// Pixels from the first to the last tap, both counted.
    fn reach(&self) -> [usize; 2] {
        [(self.kh - 1) * self.dilation[0] + 1, (self.kw - 1) * self.dilation[1] + 1]
    }

    pub(super) fn padded(&self) -> [usize; 2] {
        [self.h + self.padding[0] + self.padding[2], self.w + self.padding[1] + self.padding[3]]
    }

    /// Channels of a group, in and out.
    fn per_group(&self) -> [usize; 2] {
        [self.cin / self.groups, self.cout / self.groups]
    }

    /// Whether the taps of a kernel row and their channels lie together in memory.
    fn rows_are_contiguous(&self) -> bool {
        self.groups == 1 && self.dilation[1] == 1
    }

    fn pads(&self) -> bool {
        self.padding != [0; 4]
    }

    /// Whether the adjoint can leave out the gradient of the padding.
    fn crops(&self) -> bool {
        let [h, w] = self.reach();
        let [top, left, bottom, right] = self.padding;
        top.max(bottom) < h && left.max(right) < w
    }

    /// The convolution of the cotangent, spread by the stride, that gives the gradient of the image - or, where the
    /// padding is wider than the kernel, of the padded image.
    fn adjoint(&self) -> ConvShape {
        let ([rh, rw], [ph, pw]) = (self.reach(), self.padded());
        let spread = |size: usize, stride: usize| (size - 1) * stride + 1;
        let (h, w) = (spread(self.out_h(), self.stride[0]), spread(self.out_w(), self.stride[1]));
        // Pixels that no window reaches, where the stride does not divide, follow the last row and column.
        let (below, beside) = (ph - rh + 1 - h, pw - rw + 1 - w);
        let crop = if self.crops() { self.padding } else { [0; 4] };
        let padding = [rh - 1 - crop[0], rw - 1 - crop[1], rh - 1 - crop[2] + below, rw - 1 - crop[3] + beside];
        ConvShape { h, w, cin: self.cout, cout: self.cin, stride: [1, 1], padding, ..*self }
    }
}

/// Floats of scratch for [`forward`].
pub fn forward_scratch(s: &ConvShape) -> usize {
    let [h, w] = s.padded();
    if s.pads() { h * w * s.cin } else { 0 }
}

/// y = x convolved with w.
pub fn forward(level: Level, s: &ConvShape, x: &[f32], w: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    let [ph, pw] = s.padded();
    let (image, result) = (s.h * s.w * s.cin, s.out_h() * s.out_w() * s.cout);
    if slide::suits(level, s) {
        for n in 0..s.n {
            slide::correlate(level, s, &x[n * image..][..image], w, None, &mut y[n * result..][..result]);
        }
        return;
    }
    let padded = &mut scratch[..if s.pads() { ph * pw * s.cin } else { 0 }];
    padded.fill(0.0);
    for n in 0..s.n {
        let x = &x[n * image..(n + 1) * image];
        let source = if s.pads() {
            copy_inside(s, x, padded);
            &*padded
        } else {
            x
        };
        correlate(level, s, source, w, &mut y[n * result..(n + 1) * result]);
    }
}

/// One padded image.
fn correlate(level: Level, s: &ConvShape, x: &[f32], w: &[f32], y: &mut [f32]) {
    let ([_, pw], [cin, cout]) = (s.padded(), s.per_group());
    let (row, tap) = (s.dilation[0] * pw * s.cin, s.dilation[1] * s.cin);
    let (k, segments) = if s.rows_are_contiguous() { (s.kw * s.cin, [s.kh, 1]) } else { (cin, [s.kh, s.kw]) };
    let block = Block {
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
    };
    for g in 0..s.groups {
        multiply(level, block, &x[g * cin..], &w[g * cout..], &mut y[g * cout..]);
    }
}

/// Floats of scratch for [`input_grad`].
pub fn input_grad_scratch(s: &ConvShape) -> usize {
    if few_channels::suits(s) {
        return few_channels::scratch(s);
    }
    let ([ah, aw], [ph, pw]) = (s.adjoint().padded(), s.padded());
    let weights = s.kh * s.kw * (s.cin / s.groups) * s.cout;
    weights + ah * aw * s.cout + if s.crops() { 0 } else { ph * pw * s.cin }
}

/// dx: the adjoint of the convolution in x.
pub fn input_grad(level: Level, s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
    if few_channels::suits(s) {
        return few_channels::input_grad(level, s, dy, w, dx, scratch);
    }
    let adjoint = s.adjoint();
    let ([ah, aw], [ph, pw]) = (adjoint.padded(), s.padded());
    let (flipped, rest) = scratch.split_at_mut(s.kh * s.kw * (s.cin / s.groups) * s.cout);
    let (spread, rest) = rest.split_at_mut(ah * aw * s.cout);
    flip(level, s, w, flipped);
    let (image, result) = (s.h * s.w * s.cin, s.out_h() * s.out_w() * s.cout);
    if s.stride == [1, 1] && s.crops() && slide::suits(level, &adjoint) {
        for n in 0..s.n {
            slide::correlate(
                level,
                &adjoint,
                &dy[n * result..][..result],
                flipped,
                None,
                &mut dx[n * image..][..image],
            );
        }
        return;
    }
    spread.fill(0.0);
    for n in 0..s.n {
        let dy = &dy[n * result..(n + 1) * result];
        for (oy, row) in dy.chunks_exact(s.out_w() * s.cout).enumerate() {
            let y = adjoint.padding[0] + oy * s.stride[0];
            let to = &mut spread[(y * aw + adjoint.padding[1]) * s.cout..];
            if s.stride[1] == 1 {
                to[..row.len()].copy_from_slice(row);
                continue;
            }
            for (ox, pixel) in row.chunks_exact(s.cout).enumerate() {
                to[ox * s.stride[1] * s.cout..][..s.cout].copy_from_slice(pixel);
            }
        }
        let dx = &mut dx[n * image..(n + 1) * image];
        if s.crops() {
            correlate(level, &adjoint, spread, flipped, dx);
            continue;
        }
        let full = &mut rest[..ph * pw * s.cin];
        correlate(level, &adjoint, spread, flipped, full);
        for y in 0..s.h {
            let from = ((y + s.padding[0]) * pw + s.padding[1]) * s.cin;
            dx[y * s.w * s.cin..][..s.w * s.cin].copy_from_slice(&full[from..from + s.w * s.cin]);
        }
    }
}

/// Weights of the adjoint convolution: taps in reverse order, channels of each group exchanged.
fn flip(level: Level, s: &ConvShape, w: &[f32], to: &mut [f32]) {
    let [cin, cout] = s.per_group();
    let taps = s.kh * s.kw;
    for (tap, g) in (0..taps).flat_map(|tap| (0..s.groups).map(move |g| (tap, g))) {
        let from = &w[(taps - 1 - tap) * cin * s.cout + g * cout..];
        transpose(level, [cin, cout], from, s.cout, &mut to[tap * cout * s.cin + g * cin..], s.cin);
    }
}

/// Floats of scratch for [`weight_grad`].
pub fn weight_grad_scratch(s: &ConvShape) -> usize {
    forward_scratch(s).max(slide_grad::scratch(s))
}

/// dw += the adjoint of the convolution in w, summed over the samples.
pub fn weight_grad(level: Level, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let ([ph, pw], [cin, cout]) = (s.padded(), s.per_group());
    let (image, result) = (s.h * s.w * s.cin, s.out_h() * s.out_w() * s.cout);
    if slide::suits(level, s) {
        let zeros = &mut scratch[..slide_grad::scratch(s)];
        zeros.fill(0.0);
        for n in 0..s.n {
            slide_grad::weight_grad(level, s, &x[n * image..][..image], &dy[n * result..][..result], dw, zeros);
        }
        return;
    }
    let padded = &mut scratch[..if s.pads() { ph * pw * s.cin } else { 0 }];
    padded.fill(0.0);
    // Taps of a kernel row and their channels are rows of one product where they lie together.
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
        let (x, dy) = (&x[n * image..(n + 1) * image], &dy[n * result..(n + 1) * result]);
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
                multiply(level, block, a, &dy[g * cout..], c);
            }
        }
    }
}

/// Copies an image into the middle of its padded form, whose border is zero already.
fn copy_inside(s: &ConvShape, x: &[f32], padded: &mut [f32]) {
    let [_, pw] = s.padded();
    for y in 0..s.h {
        let to = ((y + s.padding[0]) * pw + s.padding[1]) * s.cin;
        padded[to..to + s.w * s.cin].copy_from_slice(&x[y * s.w * s.cin..][..s.w * s.cin]);
    }
}
