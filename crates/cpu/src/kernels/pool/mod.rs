//! Sums and Euclidean norms over windows of images, and their gradients; norms also of pairs of channels in ascending
//! order (GroupSort2 and pooling in one pass). Vectors run along channels that lie together, else along windows.
mod norm;
mod parts;
mod sum;

pub use norm::{norm, norm_grad, sorted_norm, sorted_norm_grad};
pub use sum::{sum, sum_grad};

use super::product;

/// `outer` images of `h` rows and `w` columns, each pixel of `inner` floats that lie together, and the windows on them.
/// Windows that do not fit are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Windows {
    pub outer: usize,
    pub h: usize,
    pub w: usize,
    pub inner: usize,
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Step from window to window, down and along.
    pub stride: [usize; 2],
}

impl Windows {
    /// Rows and columns of windows.
    pub fn count(&self) -> [usize; 2] {
        let along = |size: usize, i: usize| (size - self.kernel[i]) / self.stride[i] + 1;
        [along(self.h, 0), along(self.w, 1)]
    }

    /// Whether no pixel belongs to two windows.
    fn disjoint(&self) -> bool {
        self.kernel[0] <= self.stride[0] && self.kernel[1] <= self.stride[1]
    }

    /// Whether every pixel belongs to some window.
    fn covering(&self) -> bool {
        let full = |size: usize, i: usize| {
            self.stride[i] <= self.kernel[i] && (size - self.kernel[i]).is_multiple_of(self.stride[i])
        };
        full(self.h, 0) && full(self.w, 1)
    }

    /// Refuses windows that there are none of, and slices that are not as long as the images and the windows on them. What is
    /// unsafe in this module rests on it.
    fn check(&self, pixels: usize, windows: usize) {
        assert!(
            !self.kernel.contains(&0)
                && !self.stride.contains(&0)
                && self.kernel[0] <= self.h
                && self.kernel[1] <= self.w,
            "{self:?} has a window that is empty or does not fit"
        );
        let [rows, columns] = self.count();
        let Windows { outer, h, w, inner, .. } = *self;
        let need = [product([outer, h, w, inner]), product([outer, rows, columns, inner])];
        assert!([pixels, windows] == need, "{self:?} needs {need:?} floats, not {pixels} and {windows}");
    }

    /// Refuses pixels that do not divide into pairs.
    fn check_pairs(&self) {
        assert!(self.inner.is_multiple_of(2), "{self:?} has no whole number of pairs in a pixel");
    }

    /// Fills dx with zeros where a gradient is added to it, or does not write all of it.
    fn prepare(&self, dx: &mut [f32]) {
        if !self.disjoint() || !self.covering() {
            dx.fill(0.0);
        }
    }

    /// Rows of windows of all images, and windows in each.
    fn lines(&self) -> [usize; 2] {
        let [rows, columns] = self.count();
        [self.outer * rows, columns]
    }

    /// The flat index of the first float under the first window of line `line`.
    fn corner(&self, line: usize) -> usize {
        let [rows, _] = self.count();
        (line / rows * self.h + line % rows * self.stride[0]) * self.w * self.inner
    }

    /// From window to window along a line.
    fn step(&self) -> usize {
        self.stride[1] * self.inner
    }

    /// How far tap `(ky, kx)` of a window is from its first.
    #[inline(always)]
    fn tap(&self, ky: usize, kx: usize) -> usize {
        (ky * self.w + kx) * self.inner
    }
}
