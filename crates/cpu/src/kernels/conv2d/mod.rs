//! Convolution with channels last: x NHWC, w HWIO, y NHWC, and its two adjoints.
//!
//! Where pixels that are neighbours in a row of the image meet neighbouring taps, `slide.rs` and `slide_grad.rs` compute
//! every pass, or `planes.rs` where channels are few. Elsewhere images are copied once with their zero padding; a row of the kernel then meets contiguous
//! memory, and a pass is the register tile of `tile.rs` on rows of pixels.
//!
//! Padding counts as products with zero where images are copied and is left out where they are not. So a weight that is
//! infinite or not a number may make results at the border NaN that the definition leaves finite, and may not.
mod forward;
mod input_grad;
mod phase;
mod planes;
mod shape;
mod slide;
mod slide_grad;
mod tap_planes;
mod weight_grad;

pub use forward::{forward, forward_scratch};
pub use input_grad::{input_grad, input_grad_scratch};
pub use shape::ConvShape;
pub use weight_grad::{weight_grad, weight_grad_scratch};

/// Copies an image into the middle of its padded form, whose border is zero already.
fn copy_inside(s: &ConvShape, x: &[f32], padded: &mut [f32]) {
    let [_, pw] = s.padded();
    for y in 0..s.h {
        let to = ((y + s.padding[0]) * pw + s.padding[1]) * s.cin;
        padded[to..to + s.w * s.cin].copy_from_slice(&x[y * s.w * s.cin..][..s.w * s.cin]);
    }
}
