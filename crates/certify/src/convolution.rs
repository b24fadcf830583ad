//! How a convolution's kernel matrix bounds its Lipschitz constant: overlap of windows and the convolution factor.
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::norm::scaled_norm_upper;
use crate::rounding::{mul_up, sqrt_up};
use crate::translation::{Taps as Kernel, correlation_norm_upper};

/// The largest extent (kernel with dilation, padding, stride) for which taps are counted size by size.
const LARGEST_COUNTED: usize = 2048;

/// What stands around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaddingMode {
    /// Zeros: no pixel is copied.
    #[default]
    Zeros,
    /// The image again, periodically.
    Circular,
    /// Mirrored at the centre of the border pixel, which is not repeated.
    Reflect,
    /// The border pixel again and again.
    Replicate,
    /// Mirrored at the edge: the border pixel is repeated.
    Symmetric,
}

/// One axis of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Taps of the kernel.
    pub kernel: usize,
    /// Pixels between windows.
    pub stride: usize,
    /// Pixels between taps of a window.
    pub dilation: usize,
    /// Pixels added before and after the image.
    pub padding: (usize, usize),
    /// What they hold.
    pub mode: PaddingMode,
    /// Pixels of the image, if known.
    pub size: Option<usize>,
}

/// Geometry of a convolution of one or two axes; each list has one number an axis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConvolutionOptions {
    /// Taps per axis: `[kw]` or `[kh, kw]`. May be left out where the weight is given.
    #[serde(default)]
    pub kernel_size: Vec<usize>,
    /// Stride per axis; empty for 1.
    #[serde(default)]
    pub stride: Vec<usize>,
    /// Befores, then afters: `[left, right]` or `[top, left, bottom, right]`; empty for none.
    #[serde(default)]
    pub padding: Vec<usize>,
    /// Dilation per axis; empty for 1.
    #[serde(default)]
    pub dilation: Vec<usize>,
    /// Groups of channels.
    #[serde(default = "one")]
    pub groups: usize,
    /// What the padding holds.
    #[serde(default)]
    pub padding_mode: PaddingMode,
    /// Image size per axis; left out, the worst over all sizes counts.
    #[serde(default)]
    pub input_size: Option<Vec<usize>>,
    /// Whether every size is a multiple of the stride.
    #[serde(default)]
    pub whole_strides: bool,
}

fn one() -> usize {
    1
}

impl Default for ConvolutionOptions {
    fn default() -> Self {
        ConvolutionOptions {
            kernel_size: Vec::new(),
            stride: Vec::new(),
            padding: Vec::new(),
            dilation: Vec::new(),
            groups: 1,
            padding_mode: PaddingMode::Zeros,
            input_size: None,
            whole_strides: false,
        }
    }
}

impl ConvolutionOptions {
    /// The axes, checked: `INVALID_ARGUMENT` where a list has a wrong length or a number is out of range.
    fn axes(&self) -> Result<Vec<Axis>> {
        let axes = self.kernel_size.len();
        if !(1..=2).contains(&axes) {
            return Err(Error::argument(format!("kernelSize has {axes} numbers; give one per axis, 1 or 2 axes")));
        }
        let of = |name: &str, given: &[usize], length: usize, default: usize, least: usize| -> Result<Vec<usize>> {
            if given.is_empty() {
                return Ok(vec![default; length]);
            }
            if given.len() != length || given.iter().any(|&v| v < least) {
                return Err(Error::argument(format!(
                    "{name} is {given:?}; give {length} whole numbers of at least {least}"
                )));
            }
            Ok(given.to_vec())
        };
        let kernel = of("kernelSize", &self.kernel_size, axes, 1, 1)?;
        let stride = of("stride", &self.stride, axes, 1, 1)?;
        let dilation = of("dilation", &self.dilation, axes, 1, 1)?;
        let padding = of("padding", &self.padding, 2 * axes, 0, 0)?;
        let size = self.input_size.as_ref().map(|s| of("inputSize", s, axes, 1, 1)).transpose()?;
        Ok((0..axes)
            .map(|i| Axis {
                kernel: kernel[i],
                stride: stride[i],
                dilation: dilation[i],
                padding: (padding[i], padding[i + axes]),
                mode: self.padding_mode,
                size: size.as_ref().map(|s| s[i]),
            })
            .collect())
    }
}

/// The most window taps that read one pixel along an axis, copies of it in the padding included.
///
/// Without a size: the largest over all sizes that the padding mode allows (reflect: above the padding; circular and
/// symmetric: at least the padding) and that hold a window. With zeros this is ceil(k / (s / gcd(s, d))): taps i and j
/// of two windows meet in a pixel only where (i - j) d is a multiple of s. `INVALID_ARGUMENT` for a size that the mode
/// or the kernel does not allow and for extents beyond 2048 in the modes that copy pixels.
pub fn overlap(axis: &Axis) -> Result<usize> {
    let Axis { kernel, stride, dilation, padding: (before, after), mode, size } = *axis;
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(Error::argument(format!(
            "kernel {kernel}, stride {stride} and dilation {dilation} must be at least 1"
        )));
    }
    let span = dilation.saturating_mul(kernel - 1).saturating_add(1);
    let widest = before.max(after);
    let smallest = match mode {
        PaddingMode::Zeros | PaddingMode::Replicate => 1,
        PaddingMode::Reflect => widest.saturating_add(1),
        PaddingMode::Circular | PaddingMode::Symmetric => widest.max(1),
    };
    let smallest = smallest.max(span.saturating_sub(before.saturating_add(after)));
    if let Some(n) = size
        && n < smallest
    {
        return Err(Error::argument(format!(
            "an image axis of {n} is too small for kernel {kernel}, dilation {dilation}, padding ({before}, {after}), \
             mode {mode:?}; at least {smallest} is needed"
        )));
    }
    let countable = [span, before, after, stride].iter().all(|&v| v <= LARGEST_COUNTED);
    // Which holds for every size.
    if mode == PaddingMode::Zeros && (size.is_none() || !countable) {
        return Ok(kernel.div_ceil(stride / gcd(stride, dilation)));
    }
    if !countable {
        return Err(Error::argument(format!(
            "kernel {kernel}, dilation {dilation}, padding ({before}, {after}), stride {stride}: taps are counted up to \
             extents of {LARGEST_COUNTED}; use smaller ones"
        )));
    }
    // From this size on an axis of n pixels and one of n + stride have the same counts, so that a larger size has those of
    // the one below `settled + stride` that differs from it by a multiple of the stride. Below the pixel max(span, before + 1)
    // - 1 windows may be missing at the first border or pixels be copied into it, above the pixel n - max(span, after + 2) the
    // same at the last one; in between the count has period `stride`, and there are at least `stride` pixels. A longer axis
    // has a period more there, and at each end the same windows and copies at the same distance from it.
    let settled = span.max(before + 1) + span.max(after + 2) + stride;
    let mut taps = Taps::default();
    Ok(match size {
        Some(n) if n > settled => taps.most(axis, span, settled + (n - settled) % stride),
        Some(n) => taps.most(axis, span, n),
        None => (smallest..settled + stride).map(|n| taps.most(axis, span, n)).max().unwrap_or(0),
    })
}

/// Taps at each position of a padded axis; memory for one size after another.
#[derive(Default)]
struct Taps {
    at: Vec<isize>,
}

impl Taps {
    /// The most taps of all windows that fall on one pixel of an image axis of `size` pixels, in time proportional to the
    /// padded axis: a window adds 1 at its first tap and takes it away behind its last, and sums in steps of the dilation
    /// spread that over its taps.
    fn most(&mut self, axis: &Axis, span: usize, size: usize) -> usize {
        let (Axis { stride, dilation, mode, .. }, (before, after)) = (*axis, axis.padding);
        let length = before + size + after;
        self.at.clear();
        self.at.resize(length, 0);
        for start in (0..=length - span).step_by(stride) {
            self.at[start] += 1;
            if let Some(behind) = self.at.get_mut(start + span - 1 + dilation) {
                *behind -= 1;
            }
        }
        for i in dilation..length {
            self.at[i] += self.at[i - dilation];
        }
        for i in (0..before).chain(before + size..length) {
            if let Some(pixel) = source(i as isize - before as isize, size as isize, mode) {
                self.at[before + pixel as usize] += self.at[i];
            }
        }
        self.at[before..before + size].iter().copied().max().map_or(0, |most| most as usize)
    }
}

/// The pixel that position `at` (relative to the image) shows, if any.
fn source(at: isize, size: isize, mode: PaddingMode) -> Option<isize> {
    if (0..size).contains(&at) {
        return Some(at);
    }
    match mode {
        PaddingMode::Zeros => None,
        PaddingMode::Circular => Some(at.rem_euclid(size)),
        PaddingMode::Reflect => Some(if at < 0 { -at } else { 2 * (size - 1) - at }),
        PaddingMode::Replicate => Some(at.clamp(0, size - 1)),
        PaddingMode::Symmetric => Some(if at < 0 { -1 - at } else { 2 * size - 1 - at }),
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The most window taps that read one pixel: the product over the axes, as padding acts on each axis by itself.
pub fn convolution_overlap(options: &ConvolutionOptions) -> Result<usize> {
    overlap_of(&options.axes()?)
}

fn overlap_of(axes: &[Axis]) -> Result<usize> {
    match axes {
        // Square kernels need one count.
        [a, b] if a == b => overlap(a).map(|n| n * n),
        _ => axes.iter().map(overlap).product(),
    }
}

/// The most places at which one pixel stands in padded images, seen from an operator on unbounded or periodic images: 1 where
/// nothing is copied, or where the results are some of those on the image that is repeated all over, none of them twice.
fn copies(axis: &Axis, whole_strides: bool) -> Result<usize> {
    let Axis { kernel, stride, dilation, padding: (before, after), mode, size } = *axis;
    let periodic = stride == 1 || size.map_or(whole_strides, |n| n % stride == 0);
    let around = dilation.saturating_mul(kernel - 1) >= before.saturating_add(after);
    if mode == PaddingMode::Zeros || mode == PaddingMode::Circular && periodic && around {
        return Ok(1);
    }
    overlap(&Axis { kernel: 1, stride: 1, dilation: 1, ..*axis })
}

/// The root of the most copies of a pixel in padded images, rounded up: how much larger the norm of a convolution may be than that
/// of the same kernel on unbounded or periodic images.
///
/// Where zeros are added results are some of those on an unbounded image. Where the image is repeated on both sides by fewer
/// pixels than a window has beyond one, and its size is a multiple of the stride, they are some of those on a periodic image. Any
/// other padding is a map that copies pixels, before a convolution without padding.
pub fn padding_factor(options: &ConvolutionOptions) -> Result<f64> {
    let copies: usize =
        options.axes()?.iter().map(|axis| copies(axis, options.whole_strides)).product::<Result<_>>()?;
    Ok(if copies == 1 { 1.0 } else { sqrt_up(copies as f64) })
}

/// The scalar that makes the convolution by a kernel matrix of norm 1 1-Lipschitz: the smaller of torchlip 1.0.5's
/// coefficient (ceil(k / s)^-1/2 per axis; ceil(k / s)^-1 where there is one axis) and overlap^-1/2.
///
/// The second is sound for every kernel: y = K patches(x) gives ‖y‖² <= ‖K‖² Σ ‖patch‖² <= ‖K‖² overlap ‖x‖². The first
/// is taken where it is smaller, so that weights exchange with torchlip.
pub fn convolution_factor(options: &ConvolutionOptions) -> Result<f64> {
    let axes = options.axes()?;
    let taps: f64 = axes.iter().map(|a| a.kernel.div_ceil(a.stride) as f64).product();
    let torchlip = if axes.len() == 1 { 1.0 / taps } else { 1.0 / taps.sqrt() };
    let overlap = overlap_of(&axes)?;
    Ok(torchlip.min(1.0 / (overlap as f64).sqrt()))
}

/// An upper bound of the L2 Lipschitz constant of a convolution: sqrt(overlap) ‖K‖_2, K the kernel matrix
/// `[out, in * kh * kw]` of a group, or what correlations of the kernel show where that is less
/// (see `translation`), times [`padding_factor`]; the largest over the groups, rounded up throughout.
///
/// `weight` is `[out, in / groups, kh, kw]`, or `[out, in / groups, k]` for one axis. A transposed convolution is the
/// adjoint of a convolution, so it has the same bound with its `[in, out / groups, kh, kw]` weight. `kernelSize` may be
/// left out. Errors: `SHAPE_MISMATCH` where the shape does not fit the weight or the options, `INVALID_ARGUMENT` for
/// options out of range, `NON_FINITE` for weights that are NaN or infinite.
pub fn conv2d_lipschitz_upper(weight: &[f32], shape: &[usize], options: &ConvolutionOptions) -> Result<f64> {
    let &[out, ref inner @ ..] = shape else { return Err(bad_shape(weight.len(), shape)) };
    let length = inner.iter().try_fold(1, |p: usize, &n| p.checked_mul(n));
    let Some(length) = length.filter(|&l| (2..=3).contains(&inner.len()) && l.checked_mul(out) == Some(weight.len()))
    else {
        return Err(bad_shape(weight.len(), shape));
    };
    let kernel = &inner[1..];
    if !options.kernel_size.is_empty() && options.kernel_size != kernel {
        return Err(Error::shape(format!(
            "kernelSize {:?} does not fit a weight of shape {shape:?}",
            options.kernel_size
        )));
    }
    if options.groups == 0 || out % options.groups != 0 {
        return Err(Error::argument(format!(
            "groups {} must divide the first axis of the weight, {out}",
            options.groups
        )));
    }
    let options = ConvolutionOptions { kernel_size: kernel.to_vec(), ..options.clone() };
    let axes = options.axes()?;
    let overlap = overlap_of(&axes)?;
    let rows = out / options.groups;
    let factor = sqrt_up(overlap as f64);
    let padding = padding_factor(&options)?;
    // One axis is an image of one row.
    let of = |number: &dyn Fn(&Axis) -> usize| match axes.as_slice() {
        [y, x] => [number(y), number(x)],
        _ => [1, axes.first().map_or(1, number)],
    };
    let [kh, kw] = of(&|axis| axis.kernel);
    let (stride, dilation) = (of(&|axis| axis.stride), of(&|axis| axis.dilation));
    let bound = |group: &[f32]| {
        let bound = scaled_norm_upper(group, rows, length, factor)?;
        if overlap == 1 {
            return Ok(bound);
        }
        let taps = Kernel { weight: group, shape: [rows, length / (kh * kw), kh, kw], stride, dilation };
        Ok(bound.min(mul_up(correlation_norm_upper(&taps, bound / padding), padding)))
    };
    weight
        .chunks_exact((rows * length).max(1))
        .map(bound)
        .try_fold(0.0_f64, |largest, bound: Result<f64>| Ok(largest.max(bound?)))
}

fn bad_shape(weights: usize, shape: &[usize]) -> Error {
    Error::shape(format!(
        "{weights} weights were given for the shape {shape:?}; a convolution's weight is [out, in / groups, kh, kw] or \
         [out, in / groups, k], with the product of the shape as its length"
    ))
}

#[cfg(test)]
#[path = "convolution_tests.rs"]
mod tests;
