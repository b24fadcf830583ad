//! Pooling over rectangular windows of images without padding; windows that do not fit are left out.
#[cfg(test)]
mod cases;
mod gpu;
pub mod l2_norm_pool2d;
pub mod l2_norm_pool2d_grad;
pub(crate) mod sorted;
pub mod sorted_l2_norm_pool2d;
pub mod sorted_l2_norm_pool2d_grad;
#[cfg(test)]
mod sorted_tests;
pub mod window_argmax2d;
pub mod window_put2d;
pub mod window_spread2d;
pub mod window_sum2d;
pub mod window_take2d;

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tslip_cpu::kernels::pool::Windows;
use tslip_graph::{Arranged, DType, Error, Op, Operand, Registry, Result, Samples, Spec};

use crate::conv::{CHANNELS_LAST, Layout};
use crate::support::{need, parse};

#[cfg(test)]
pub(crate) use cases::cases;
#[cfg(test)]
mod tests;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("window_sum2d", parse::<window_sum2d::WindowSum2d>);
    ops.insert("window_spread2d", parse::<window_spread2d::WindowSpread2d>);
    ops.insert("window_argmax2d", parse::<window_argmax2d::WindowArgmax2d>);
    ops.insert("window_take2d", parse::<window_take2d::WindowTake2d>);
    ops.insert("window_put2d", parse::<window_put2d::WindowPut2d>);
    ops.insert("l2_norm_pool2d", parse::<l2_norm_pool2d::L2NormPool2d>);
    ops.insert("l2_norm_pool2d_grad", parse::<l2_norm_pool2d_grad::L2NormPool2dGrad>);
    ops.insert("sorted_l2_norm_pool2d", parse::<sorted_l2_norm_pool2d::SortedL2NormPool2d>);
    ops.insert("sorted_l2_norm_pool2d_grad", parse::<sorted_l2_norm_pool2d_grad::SortedL2NormPool2dGrad>);
    ops.fuse(sorted::fused_norm);
    ops.fuse(sorted::fused_gradient);
}

/// A window and its step, rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Extents of the window.
    pub kernel: [usize; 2],
    /// Step from window to window.
    pub stride: [usize; 2],
    /// How axes lie in memory.
    #[serde(default)]
    pub layout: Layout,
}

/// A tensor as `outer` images of `h` rows and `w` columns, each pixel of `inner` values that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Images {
    /// Samples, and channels where they come first.
    pub outer: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels where they come last, otherwise 1.
    pub inner: usize,
}

impl Window {
    /// The same in NHWC.
    pub fn channels_last(self) -> Window {
        Window { layout: Layout::Nhwc, ..self }
    }

    /// The images of a shape in this layout.
    pub fn images(&self, s: &[usize]) -> Images {
        match self.layout {
            Layout::Nchw => Images { outer: s[0] * s[1], h: s[2], w: s[3], inner: 1 },
            Layout::Nhwc => Images { outer: s[0], h: s[1], w: s[2], inner: s[3] },
        }
    }

    /// The shape with other rows and columns.
    pub fn resized(&self, s: &[usize], [h, w]: [usize; 2]) -> Vec<usize> {
        match self.layout {
            Layout::Nchw => vec![s[0], s[1], h, w],
            Layout::Nhwc => vec![s[0], h, w, s[3]],
        }
    }

    /// Rows and columns of windows over an image, checked.
    pub fn windows(&self, x: &Spec) -> Result<[usize; 2]> {
        need(x, DType::F32)?;
        if x.rank() != 4 {
            return Err(Error::shape("the operand must have four axes, [n, c, h, w]"));
        }
        let images = self.images(&x.shape);
        self.count([images.h, images.w])
    }

    /// Rows and columns of windows over an image of this size, checked.
    pub fn count(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        if self.kernel.contains(&0) || self.stride.contains(&0) {
            return Err(Error::argument(format!(
                "kernel {:?} and stride {:?} must be at least 1",
                self.kernel, self.stride
            )));
        }
        if size[0] < self.kernel[0] || size[1] < self.kernel[1] {
            return Err(Error::shape(format!("a window of {:?} does not fit an image of {size:?}", self.kernel)));
        }
        Ok([0, 1].map(|i| (size[i] - self.kernel[i]) / self.stride[i] + 1))
    }

    /// The shape of images of this size of whose windows `y` has the values, checked.
    pub fn image_of(&self, y: &Spec, size: [usize; 2]) -> Result<Vec<usize>> {
        if y.rank() != 4 {
            return Err(Error::shape("the operand must have four axes, [n, c, h, w]"));
        }
        let (windows, image) = (self.count(size)?, self.images(&y.shape));
        if [image.h, image.w] != windows {
            return Err(Error::shape(format!(
                "an image of {size:?} has {windows:?} windows, the operand has {:?}",
                [image.h, image.w]
            )));
        }
        Ok(self.resized(&y.shape, size))
    }

    /// What the kernels are told of a tensor of this shape.
    pub fn over(&self, shape: &[usize]) -> Windows {
        let Images { outer, h, w, inner } = self.images(shape);
        // A step beyond the image is never taken; products with it could overflow.
        let stride = [self.stride[0].min(h), self.stride[1].min(w)];
        Windows { outer, h, w, inner, kernel: self.kernel, stride }
    }

    /// Calls `tap(pixel, window)` with the flat indices of the first value of a pixel and of a window that holds it,
    /// window after window, taps in row order.
    pub fn each_tap(&self, image: Images, mut tap: impl FnMut(usize, usize)) {
        let Ok([oh, ow]) = self.count([image.h, image.w]) else { return };
        for n in 0..image.outer {
            for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
                let window = ((n * oh + oy) * ow + ox) * image.inner;
                for ky in 0..self.kernel[0] {
                    for kx in 0..self.kernel[1] {
                        let (y, x) = (oy * self.stride[0] + ky, ox * self.stride[1] + kx);
                        tap(((n * image.h + y) * image.w + x) * image.inner, window);
                    }
                }
            }
        }
    }

    /// Calls `visit(pixel, window)` with the flat indices of a value of the first pixel of a window and of the window's value, window after
    /// window.
    pub fn each_value(&self, image: Images, mut visit: impl FnMut(usize, usize)) {
        let Ok([oh, ow]) = self.count([image.h, image.w]) else { return };
        for (n, oy) in (0..image.outer).flat_map(|n| (0..oh).map(move |y| (n, y))) {
            for ox in 0..ow {
                let pixel = ((n * image.h + oy * self.stride[0]) * image.w + ox * self.stride[1]) * image.inner;
                let window = ((n * oh + oy) * ow + ox) * image.inner;
                (0..image.inner).for_each(|i| visit(pixel + i, window + i));
            }
        }
    }

    /// How many values a pixel lies behind the first of its window, by its place there; nothing for a place outside.
    pub fn offset(&self, image: Images, place: i64) -> Option<usize> {
        let [rows, columns] = self.kernel;
        let place = usize::try_from(place).ok().filter(|&place| place < rows * columns)?;
        Some((place / columns * image.w + place % columns) * image.inner)
    }
}

/// Every sample by itself.
fn samples(inputs: &[Operand<'_>]) -> Samples {
    Samples::PerSample { sliced: vec![true; inputs.len()] }
}

/// All operands and the result with channels last, if that is the arrangement asked for.
fn permuted(
    window: Window,
    axes: &[usize],
    operands: usize,
    op: impl FnOnce(Window) -> Arc<dyn Op>,
) -> Option<Arranged> {
    if axes != CHANNELS_LAST || window.layout != Layout::Nchw {
        return None;
    }
    Some(Arranged {
        op: op(window.channels_last()),
        inputs: vec![Some(axes.to_vec()); operands],
        output: Some(axes.to_vec()),
    })
}
