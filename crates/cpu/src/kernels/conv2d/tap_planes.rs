//! The gradient of an image of one or two channels, for which even `planes.rs` would load more than it multiplies.
//!
//! With dy transposed to `[cout, pixels]` one product gives what every tap of every channel receives from every pixel;
//! these planes are then added up, each moved by its tap.
use super::ConvShape;
use crate::kernels::gemm::{Gemm, gemm};
use crate::kernels::product;
use crate::kernels::transpose::transpose;
use crate::simd::{Level, Simd, dispatch};

/// Most channels.
const FEW: usize = 2;

/// Whether [`input_grad`] is right and quick for this shape.
pub(super) fn suits(s: &ConvShape) -> bool {
    s.cin <= FEW && s.groups == 1 && s.stride == [1, 1]
}

/// Floats of dy transposed, of the products and of the padded planes.
fn parts(s: &ConvShape) -> [usize; 3] {
    let (pixels, [ph, pw]) = (s.out_h() * s.out_w(), s.padded());
    [s.cout * pixels, s.kh * s.kw * s.cin * pixels, s.cin * ph * pw]
}

/// Floats of scratch for [`input_grad`].
pub(super) fn scratch(s: &ConvShape) -> usize {
    parts(s).into_iter().sum()
}

/// dx `[n, h, w, cin]` from dy and weights `[kh, kw, cin, cout]`.
pub(super) fn input_grad(level: Level, s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
    let ([turned, products, _], [ph, pw]) = (parts(s), s.padded());
    let (turned, rest) = scratch.split_at_mut(turned);
    let (products, rest) = rest.split_at_mut(products);
    let planes = &mut rest[..s.cin * ph * pw];
    let (pixels, rows) = (s.out_h() * s.out_w(), s.kh * s.kw * s.cin);
    for sample in 0..s.n {
        let dy = &dy[sample * pixels * s.cout..][..pixels * s.cout];
        transpose(level, [pixels, s.cout], dy, s.cout, turned, pixels);
        let (m, n, k, a_strides) = (rows, pixels, s.cout, (s.cout, 1));
        let c = &mut *products;
        gemm(
            level,
            Gemm { m, n, k, a: w, a_strides, b: turned, b_row_stride: n, c, c_row_stride: n, accumulate: false },
        );
        planes.fill(0.0);
        let products = &*products;
        // SAFETY: it asks for nothing but its instructions.
        unsafe { dispatch!(level, add_taps(s: &ConvShape, products: &[f32], planes: &mut [f32])) };
        let dx = &mut dx[sample * s.h * s.w * s.cin..][..s.h * s.w * s.cin];
        for (y, row) in dx.chunks_exact_mut(s.w * s.cin).enumerate() {
            for (channel, plane) in planes.chunks_exact(ph * pw).enumerate() {
                let from = &plane[(y + s.padding[0]) * pw + s.padding[1]..][..s.w];
                row[channel..].iter_mut().step_by(s.cin).zip(from).for_each(|(to, v)| *to = *v);
            }
        }
    }
}

/// Adds the products `[kh, kw, cin, oh, ow]` to the planes `[cin, padded height, padded width]`.
///
/// # Safety
/// Where S may be used.
#[inline(always)]
unsafe fn add_taps<S: Simd>(s: &ConvShape, products: &[f32], planes: &mut [f32]) {
    let ([ph, pw], oh, ow) = (s.padded(), s.out_h(), s.out_w());
    let (whole, tail) = (ow / S::LANES * S::LANES, ow % S::LANES);
    assert!(products.len() == product([s.kh, s.kw, s.cin, oh, ow]) && planes.len() == product([s.cin, ph, pw]));
    for row in 0..s.kh * s.kw * s.cin {
        let (tap, channel) = (row / s.cin, row % s.cin);
        let moved = tap / s.kw * s.dilation[0] * pw + tap % s.kw * s.dilation[1];
        for y in 0..oh {
            // SAFETY: the slices are as long as asserted above, and both rows of ow floats lie inside them: the last tap of the
            // last result is at most the last padded pixel, by the definition of `out_h` and `out_w`, down and along.
            unsafe {
                let from = products.as_ptr().add((row * oh + y) * ow);
                let to = planes.as_mut_ptr().add((channel * ph + y) * pw + moved);
                for x in (0..whole).step_by(S::LANES) {
                    S::store(to.add(x), S::add(S::load(to.add(x)), S::load(from.add(x))));
                }
                if tail > 0 {
                    let (from, to) = (from.add(whole), to.add(whole));
                    S::store_partial(to, S::add(S::load_partial(to, tail), S::load_partial(from, tail)), tail);
                }
            }
        }
    }
}
