//! Extents of a convolution.
use crate::kernels::product;

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
    ///
    /// # Panics
    /// If the kernel does not fit into the padded image, or no stride leads on.
    pub fn out_h(&self) -> usize {
        self.along([self.h, self.padding[0], self.padding[2]], self.kh, self.dilation[0], self.stride[0])
    }

    /// Columns of the result.
    ///
    /// # Panics
    /// As [`ConvShape::out_h`] does.
    pub fn out_w(&self) -> usize {
        self.along([self.w, self.padding[1], self.padding[3]], self.kw, self.dilation[1], self.stride[1])
    }

    /// Steps along an axis of so many pixels, padding before and after included.
    fn along(&self, pixels: [usize; 3], taps: usize, dilation: usize, stride: usize) -> usize {
        let padded = pixels.into_iter().try_fold(0usize, usize::checked_add);
        // From the first tap to the last.
        let reach = taps.checked_sub(1).and_then(|steps| steps.checked_mul(dilation));
        let rest = padded.zip(reach).and_then(|(padded, reach)| padded.checked_sub(1)?.checked_sub(reach));
        match rest.and_then(|rest| rest.checked_div(stride)) {
            Some(steps) => steps + 1,
            None => panic!("{self:?} has no result"),
        }
    }

    /// Refuses what is no convolution, and extents of which there can be no buffers: what is computed of a shape that passes does not
    /// overflow, as long as it is the place of a float.
    pub(super) fn check(&self) {
        let ConvShape { n, h, w, cin, cout, kh, kw, groups, .. } = *self;
        let (result, [ph, pw]) = ([self.out_h(), self.out_w()], self.padded());
        let counts = [h, w, cin, cout, kh, kw, groups, self.dilation[0], self.dilation[1]];
        assert!(
            !counts.contains(&0) && cin.is_multiple_of(groups) && cout.is_multiple_of(groups),
            "{self:?} is no convolution"
        );
        let [per_group, _] = self.per_group();
        let floats = [
            product([n, h, w, cin]),
            product([n, result[0], result[1], cout]),
            product([ph, pw, cin.max(cout)]),
            product([kh, kw, per_group, cout]),
        ];
        assert!(floats.iter().all(|&n| n <= isize::MAX as usize / size_of::<f32>()), "{self:?} does not fit in memory");
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
