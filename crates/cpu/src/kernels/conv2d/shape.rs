//! Extents of a convolution.

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

    /// Height and width of the padded image.
    pub(super) fn padded(&self) -> [usize; 2] {
        [self.h + self.padding[0] + self.padding[2], self.w + self.padding[1] + self.padding[3]]
    }

    /// Channels of a group, in and out.
    pub(super) fn per_group(&self) -> [usize; 2] {
        [self.cin / self.groups, self.cout / self.groups]
    }

    /// Floats of an image, of a result and of the weights.
    pub(super) fn floats(&self) -> [usize; 3] {
        let [cin, _] = self.per_group();
        [self.h * self.w * self.cin, self.out_h() * self.out_w() * self.cout, self.kh * self.kw * cin * self.cout]
    }

    /// Whether the taps of a kernel row and their channels lie together in memory.
    pub(super) fn rows_are_contiguous(&self) -> bool {
        self.groups == 1 && self.dilation[1] == 1
    }

    pub(super) fn pads(&self) -> bool {
        self.padding != [0; 4]
    }
}
