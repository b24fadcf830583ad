//! Bounds of a convolution's norm, of which that by its kernel matrix and the overlap of windows bounds partial sums too, and the
//! convolution factor.
use serde::Deserialize;

use crate::axis::{Axis, PaddingMode, overlap};
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::norm::scaled_norm_upper;
use crate::operator::Operator;
use crate::rounding::{div_up, mul_up, sqrt_up};
use crate::torus::Torus;

/// Which factor makes a convolution 1-Lipschitz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactorNorm {
    /// The smaller of torchlip 1.0.5's coefficient and overlap^-1/2.
    #[default]
    Default,
    /// overlap^-1/2.
    Overlap,
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
    /// Whether every size is a multiple of the stride; only bounds of the norm make use of it.
    #[serde(default)]
    pub whole_strides: bool,
    /// Whether somebody waits: what takes longer is left out, and the bound is looser.
    #[serde(skip)]
    pub quick: bool,
    /// Which factor is asked for; bounds do not depend on it.
    #[serde(default)]
    pub norm: FactorNorm,
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
            quick: false,
            norm: FactorNorm::Default,
        }
    }
}

impl ConvolutionOptions {
    /// The axes, checked: `INVALID_ARGUMENT` where a list has a wrong length or a number is out of range.
    pub(crate) fn axes(&self) -> Result<Vec<Axis>> {
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
                whole_strides: self.whole_strides,
            })
            .collect())
    }
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

/// The scalar that makes the convolution by a kernel matrix of norm 1 1-Lipschitz: the smaller of torchlip 1.0.5's
/// coefficient (ceil(k / s)^-1/2 per axis; ceil(k / s)^-1 where there is one axis) and overlap^-1/2.
///
/// The second is sound for every kernel: y = K patches(x) gives ‖y‖² <= ‖K‖² Σ ‖patch‖² <= ‖K‖² overlap ‖x‖². The first
/// is taken where it is smaller, so that weights exchange with torchlip. Where the windows show no pixel, overlap counts as 1: of a map
/// that is 0 every scalar is right, and it has to be finite.
pub fn convolution_factor(options: &ConvolutionOptions) -> Result<f64> {
    let axes = options.axes()?;
    let taps: f64 = axes.iter().map(|a| a.kernel.div_ceil(a.stride) as f64).product();
    let torchlip = if axes.len() == 1 { 1.0 / taps } else { 1.0 / taps.sqrt() };
    let overlap = 1.0 / (overlap_of(&axes)?.max(1) as f64).sqrt();
    Ok(match options.norm {
        FactorNorm::Default => torchlip.min(overlap),
        FactorNorm::Overlap => overlap,
    })
}

/// An upper bound of the L2 Lipschitz constant of a convolution, the largest over its groups; rounded up throughout.
///
/// Each group has the smallest of the bounds that are affordable: [`conv2d_gain_upper`]; what correlations of its filters show
/// (`torus`), which is tight where they keep norms; for `inputSize` the norm of the operator on an
/// image of that size (`operator`); the norm of a circular convolution that contains it, or for images of every size the supremum
/// of the symbol (`torus`).
///
/// `weight` is `[out, in / groups, kh, kw]`, or `[out, in / groups, k]` for one axis. A transposed convolution is the
/// adjoint of a convolution, so it has the same bound with its `[in, out / groups, kh, kw]` weight and the size of its result.
/// `kernelSize` may be left out. Errors: `SHAPE_MISMATCH` where the shape does not fit the weight or the options, `INVALID_ARGUMENT`
/// for options out of range, `NON_FINITE` for weights that are NaN or infinite.
pub fn conv2d_lipschitz_upper(weight: &[f32], shape: &[usize], options: &ConvolutionOptions) -> Result<f64> {
    let convolution = Convolution::checked(weight, shape, options)?;
    let bound = |group| {
        let gain = convolution.gain_upper(group)?;
        Ok(if convolution.is_kernel_matrix() { gain } else { convolution.norm_upper(group, gain) })
    };
    convolution.groups().try_fold(0.0_f64, |largest, group| Ok(largest.max(bound(group)?)))
}

/// An upper bound of the norm of a convolution, and of every convolution by a part of its taps and channels: sqrt(overlap) ‖K‖_2, K
/// the kernel matrix `[out, in * kh * kw]` of a group, the largest over the groups; rounded up throughout.
///
/// The norm of the whole does not bound its parts, as taps may cancel; float32 forms sums of parts. Arguments and errors are those of
/// [`conv2d_lipschitz_upper`].
pub fn conv2d_gain_upper(weight: &[f32], shape: &[usize], options: &ConvolutionOptions) -> Result<f64> {
    let convolution = Convolution::checked(weight, shape, options)?;
    convolution.groups().try_fold(0.0_f64, |largest, group| Ok(largest.max(convolution.gain_upper(group)?)))
}

/// A convolution whose weight fits its options.
struct Convolution<'a> {
    weight: &'a [f32],
    axes: Vec<Axis>,
    quick: bool,
    overlap: usize,
    /// Of each group: channels that come out, and weights of each of them.
    rows: usize,
    length: usize,
}

impl<'a> Convolution<'a> {
    fn checked(weight: &'a [f32], shape: &[usize], options: &ConvolutionOptions) -> Result<Self> {
        let &[out, ref inner @ ..] = shape else { return Err(bad_shape(weight.len(), shape)) };
        let length = inner.iter().try_fold(1, |p: usize, &n| p.checked_mul(n));
        let Some(length) =
            length.filter(|&l| (2..=3).contains(&inner.len()) && l.checked_mul(out) == Some(weight.len()))
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
        let axes = ConvolutionOptions { kernel_size: kernel.to_vec(), ..options.clone() }.axes()?;
        let overlap = overlap_of(&axes)?;
        Ok(Convolution { weight, axes, quick: options.quick, overlap, rows: out / options.groups, length })
    }

    fn groups(&self) -> impl Iterator<Item = &'a [f32]> {
        self.weight.chunks_exact((self.rows * self.length).max(1))
    }

    /// Whether its norm is that of the kernel matrix: no two windows share a pixel, and some image has a window without padding.
    fn is_kernel_matrix(&self) -> bool {
        self.overlap <= 1 && self.axes.iter().all(|axis| axis.padding == (0, 0) || axis.size.is_none())
    }

    fn gain_upper(&self, group: &[f32]) -> Result<f64> {
        scaled_norm_upper(group, self.rows, self.length, sqrt_up(self.overlap as f64))
    }

    /// The smaller of `known` and what else is affordable, for a group of finite weights.
    fn norm_upper(&self, group: &[f32], known: f64) -> f64 {
        let axes = match *self.axes {
            [height, width] => [height, width],
            // One axis is the second of an image of one row.
            [width] => [Axis { size: width.size.map(|_| 1), ..ONE_ROW }, width],
            _ => unreachable!("axes are 1 or 2"),
        };
        let taps = axes.map(|axis| axis.kernel);
        let Some(kernel) = Kernel::of(group, self.rows, self.length / (taps[0] * taps[1]), taps) else { return 0.0 };
        let scaled = div_up(known, kernel.scale);
        let known_squared = mul_up(scaled, scaled);
        let most = if self.quick { MOST_WHILE_WAITING } else { f64::INFINITY };
        let known_squared = Torus::correlated(&kernel, &axes, most)
            .into_iter()
            .fold(known_squared, |known, torus| torus.correlations_upper(known));
        let operator = Operator::affordable(&kernel, &axes).filter(|operator| operator.cost() <= most);
        let torus = Torus::affordable(&kernel, &axes).filter(|torus| torus.cost() <= most);
        let squared = match (operator, torus) {
            (Some(operator), Some(torus)) if torus.exact() && torus.cost() < operator.cost() => {
                torus.squared_norm_upper(known_squared)
            }
            (Some(operator), _) => operator.squared_norm_upper(known_squared),
            (None, Some(torus)) => torus.squared_norm_upper(known_squared),
            (None, None) => known_squared,
        };
        known.min(mul_up(sqrt_up(squared), kernel.scale))
    }
}

/// Operations of one of the proofs while somebody waits.
const MOST_WHILE_WAITING: f64 = 1e9;
const ONE_ROW: Axis = Axis {
    kernel: 1,
    stride: 1,
    dilation: 1,
    padding: (0, 0),
    mode: PaddingMode::Zeros,
    size: None,
    whole_strides: false,
};

fn bad_shape(weights: usize, shape: &[usize]) -> Error {
    Error::shape(format!(
        "{weights} weights were given for the shape {shape:?}; a convolution's weight is [out, in / groups, kh, kw] or \
         [out, in / groups, k], with the product of the shape as its length"
    ))
}

#[cfg(test)]
#[path = "convolution_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "grid_tests.rs"]
mod grid_tests;
