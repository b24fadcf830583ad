//! Two-dimensional convolution and its two adjoints. The three are closed under differentiation: the VJP of each is
//! made of the other two. In canonical form data is NCHW and weights OIHW; the CPU kernels work channels last (NHWC,
//! HWIO), which the arrangement pass brings about. The norm of a convolution on images of one size is an op as well.
#[cfg(test)]
mod cases;
mod channels_last;
pub mod conv2d;
pub mod conv2d_bias;
pub mod conv2d_input_grad;
pub mod conv2d_weight_grad;
pub mod convolution_norm;
pub mod convolution_top_vector;
pub mod operator;
mod product;

use ndarray::{Array4, ArrayD, ArrayView4, Ix4};
use serde::{Deserialize, Serialize};
use tslip_cpu::kernels::conv2d::ConvShape;
use tslip_graph::{Arranged, DType, Error, Registry, Result, Spec};

use crate::support::{need, operands, parse};

#[cfg(test)]
pub(crate) use cases::cases;
#[cfg(test)]
mod tests;

/// NCHW to NHWC.
pub const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
/// OIHW to HWIO.
pub const WEIGHT_LAST: [usize; 4] = [2, 3, 1, 0];

/// How axes lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Channels before rows and columns, weights OIHW.
    #[default]
    Nchw,
    /// Channels last, weights HWIO.
    Nhwc,
}

/// What all three ops have in common. Padding is with zeros: top, left, bottom, right.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Geometry {
    /// Step of the window, rows and columns.
    pub stride: [usize; 2],
    /// Zeros added around the image: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Distance between neighbouring taps.
    pub dilation: [usize; 2],
    /// Input and output channels are cut into so many groups that do not mix.
    pub groups: usize,
    /// How axes lie in memory.
    #[serde(default)]
    pub layout: Layout,
}

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("conv2d", parse::<conv2d::Conv2d>);
    ops.insert("conv2d_bias", parse::<conv2d_bias::Conv2dBias>);
    ops.insert("conv2d_input_grad", parse::<conv2d_input_grad::Conv2dInputGrad>);
    ops.insert("conv2d_weight_grad", parse::<conv2d_weight_grad::Conv2dWeightGrad>);
    ops.insert("convolution_norm", parse::<convolution_norm::ConvolutionNorm>);
    ops.insert("convolution_top_vector", parse::<convolution_top_vector::ConvolutionTopVector>);
    ops.fuse(conv2d_bias::of_sum);
}

impl Geometry {
    /// The same in NHWC.
    pub fn channels_last(&self) -> Geometry {
        Geometry { layout: Layout::Nhwc, ..self.clone() }
    }

    /// Extents of data `[n, c, h, w]` whatever the layout.
    pub fn data(&self, shape: &[usize]) -> [usize; 4] {
        match self.layout {
            Layout::Nchw => [shape[0], shape[1], shape[2], shape[3]],
            Layout::Nhwc => [shape[0], shape[3], shape[1], shape[2]],
        }
    }

    /// Extents of weights `[o, i, kh, kw]` whatever the layout.
    pub fn weight(&self, shape: &[usize]) -> [usize; 4] {
        match self.layout {
            Layout::Nchw => [shape[0], shape[1], shape[2], shape[3]],
            Layout::Nhwc => [shape[3], shape[2], shape[0], shape[1]],
        }
    }

    /// A data shape in this layout.
    pub fn data_shape(&self, [n, c, h, w]: [usize; 4]) -> Vec<usize> {
        match self.layout {
            Layout::Nchw => vec![n, c, h, w],
            Layout::Nhwc => vec![n, h, w, c],
        }
    }

    /// A weight shape in this layout.
    pub fn weight_shape(&self, [o, i, kh, kw]: [usize; 4]) -> Vec<usize> {
        match self.layout {
            Layout::Nchw => vec![o, i, kh, kw],
            Layout::Nhwc => vec![kh, kw, i, o],
        }
    }

    /// The kernel's shape for input `[n, c, h, w]` and weights `[o, i, kh, kw]`, checked.
    pub fn shape(&self, [n, cin, h, w]: [usize; 4], [cout, per_group, kh, kw]: [usize; 4]) -> Result<ConvShape> {
        let g = self.groups;
        if g == 0 || self.stride.contains(&0) || self.dilation.contains(&0) {
            return Err(Error::argument(format!(
                "stride {:?}, dilation {:?} and groups {g} must all be at least 1",
                self.stride, self.dilation
            )));
        }
        if [cin, cout, h, w, kh, kw].contains(&0) {
            return Err(Error::shape(format!(
                "{cin} input channels, {cout} output channels, an image of {h}x{w} and a kernel of {kh}x{kw} must all be \
                 at least 1"
            )));
        }
        if per_group.checked_mul(g) != Some(cin) || !cout.is_multiple_of(g) {
            return Err(Error::shape(format!(
                "{cin} input channels, {cout} output channels and {g} groups do not fit weights of {per_group} input \
                 channels a group: input channels must be groups times {per_group}, output channels a multiple of groups"
            )));
        }
        let [top, left, bottom, right] = self.padding;
        for (what, size, before, after, k, d) in
            [("height", h, top, bottom, kh, self.dilation[0]), ("width", w, left, right, kw, self.dilation[1])]
        {
            let padded = size.checked_add(before).and_then(|s| s.checked_add(after));
            let reach = (k - 1).checked_mul(d).and_then(|r| r.checked_add(1));
            if !matches!((padded, reach), (Some(p), Some(r)) if r <= p && p < 1 << 31) {
                return Err(Error::shape(format!(
                    "the kernel reaches over {} pixels of {what} (size {k}, dilation {d}), the padded image has {}: \
                     use a smaller kernel or more padding",
                    (k - 1).saturating_mul(d).saturating_add(1),
                    size.saturating_add(before).saturating_add(after)
                )));
            }
        }
        let (padding, padded) = (self.padding, [h + top + bottom, w + left + right]);
        // Copies with padding, of the image and of its adjoint, have less than four times as many pixels.
        Spec::f32([4, padded[0], padded[1], cin.max(cout)]).check()?;
        // Steps that are never taken; products with them could overflow.
        let stride = [0, 1].map(|i| self.stride[i].min(padded[i]));
        let dilation = [(kh, 0), (kw, 1)].map(|(k, i)| if k == 1 { 1 } else { self.dilation[i] });
        Ok(ConvShape { n, h, w, cin, cout, kh, kw, stride, padding, dilation, groups: g })
    }
}

/// Refuses operands that are not two f32 tensors of rank 4.
pub fn check(inputs: &[&Spec]) -> Result<()> {
    let [a, b] = operands(inputs)?;
    need(a, DType::F32)?;
    need(b, DType::F32)?;
    match (a.rank(), b.rank()) {
        (4, 4) => Ok(()),
        _ => Err(Error::shape("both operands must have four axes: data is [n, c, h, w], weights are [o, i, kh, kw]")),
    }
}

/// The arrangement in which the kernels work, if the op is not in it yet.
pub fn arranged(geometry: &Geometry, make: Arranged) -> Option<Arranged> {
    (geometry.layout == Layout::Nchw).then_some(make)
}

/// Every multiply-add of a convolution: calls `tap(y, x, w)` with flat canonical indices.
pub fn each_tap(s: &ConvShape, mut tap: impl FnMut([usize; 4], [usize; 4], [usize; 4])) {
    let (inputs, outputs) = (s.cin / s.groups, s.cout / s.groups);
    for n in 0..s.n {
        for o in 0..s.cout {
            for (oy, ox) in (0..s.out_h()).flat_map(|y| (0..s.out_w()).map(move |x| (y, x))) {
                for (i, ky, kx) in (0..inputs).flat_map(|i| (0..s.kh * s.kw).map(move |k| (i, k / s.kw, k % s.kw))) {
                    let y = (oy * s.stride[0] + ky * s.dilation[0]).wrapping_sub(s.padding[0]);
                    let x = (ox * s.stride[1] + kx * s.dilation[1]).wrapping_sub(s.padding[1]);
                    if y < s.h && x < s.w {
                        tap([n, o, oy, ox], [n, o / outputs * inputs + i, y, x], [o, i, ky, kx]);
                    }
                }
            }
        }
    }
}

/// An operand of the reference in canonical order.
pub fn canonical<'a>(x: &'a ArrayD<f64>, layout: Layout, last: &[usize; 4]) -> ArrayView4<'a, f64> {
    let view = x.view().into_dimensionality::<Ix4>().unwrap_or_else(|e| unreachable!("rank 4 was inferred: {e}"));
    match layout {
        Layout::Nchw => view,
        Layout::Nhwc => {
            let back = tslip_graph::arrange::inverse(last);
            view.permuted_axes([back[0], back[1], back[2], back[3]])
        }
    }
}

/// A canonical result of the reference in the op's layout.
pub fn in_layout(y: Array4<f64>, layout: Layout, last: &[usize; 4]) -> ArrayD<f64> {
    match layout {
        Layout::Nchw => y.into_dyn(),
        Layout::Nhwc => y.permuted_axes(*last).as_standard_layout().into_owned().into_dyn(),
    }
}

/// Floating-point operations of one pass.
pub fn flops(s: &ConvShape) -> u64 {
    let factors = [2, s.n, s.out_h(), s.out_w(), s.cout, s.kh, s.kw, s.cin / s.groups];
    factors.into_iter().fold(1, |product, factor| product.saturating_mul(factor as u64))
}
