//! Layers that are a linear map with a weight, and a bias.
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Built, Given, Layer, Map, Pair, Problem, bias_norm, check_weight, checked, count, yes};
use crate::axis::{Axis, Mode};
use crate::convolution::{Convolution, sum_roundings};
use crate::outward::sqrt_of;
use crate::rounding::Rounding;
use crate::work::{Stopped, Work};

pub(super) fn build(kind: &str, of: &Given<'_>) -> Option<Built> {
    Some(match kind {
        "Linear" => linear(of),
        "Conv1d" => conv1d(of),
        "Conv2d" => conv2d(of),
        "ConvTranspose2d" => transposed(of),
        _ => return None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LinearOptions {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    /// Of the values it was made with.
    #[serde(default, rename = "initializer")]
    _initializer: Option<Json>,
}

struct Linear {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    features: [usize; 2],
    shape: Vec<usize>,
}

fn linear(of: &Given<'_>) -> Built {
    let LinearOptions { in_features, out_features, bias, .. } = of.read()?;
    let Some((last, before)) = of.sample.split_last() else { return Err("a sample is one number here".to_string()) };
    if *last != in_features {
        return Err(format!("it takes {in_features} features; a sample has the shape {:?} here", of.sample));
    }
    check_weight(out_features, &[in_features])?;
    Ok(Box::new(Linear {
        weight: of.weights.get("weight", &[out_features, in_features])?,
        bias: of.weights.bias(bias, out_features)?,
        features: [in_features, out_features],
        shape: checked([before, &[out_features]].concat())?,
    }))
}

/// y = x Wᵀ + b for each row of `inputs` numbers.
pub(super) fn rows_times(weight: &[f32], bias: Option<&[f32]>, inputs: usize, x: &[f64]) -> Vec<f64> {
    let row = |x: &[f64]| -> Vec<f64> {
        let sum = |(o, weights): (usize, &[f32])| {
            let start = bias.map_or(0.0, |bias| f64::from(bias[o]));
            weights.iter().zip(x).fold(start, |sum, (w, x)| sum + f64::from(*w) * x)
        };
        weight.chunks_exact(inputs).enumerate().map(sum).collect()
    };
    x.chunks_exact(inputs).flat_map(row).collect()
}

impl Layer for Linear {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        rows_times(&self.weight, self.bias.as_deref(), self.features[0], x)
    }

    fn operations(&self) -> f64 {
        2.0 * (count(&self.shape) * self.features[0]) as f64
    }

    fn map(&self) -> Option<Map<'_>> {
        Some(Map::Dense(&self.weight, self.features[1], self.features[0]))
    }

    fn lipschitz(&self, norm: f64) -> f64 {
        norm
    }

    fn rounding(&self, _norm: f64, _work: &Work) -> Result<Rounding, Stopped> {
        let [terms, rows] = self.features;
        let offset = bias_norm(self.bias.as_deref(), count(&self.shape));
        Ok(Rounding { roundings: sum_roundings(terms, rows), offset, ..Rounding::default() })
    }

    fn head(&self) -> Option<(&[f32], usize, usize)> {
        (self.shape.len() == 1).then_some((&self.weight, self.features[1], self.features[0]))
    }
}

/// What stands around images: a name or pixels.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Padding {
    Named(String),
    Pixels(Pair),
}

impl Padding {
    /// Pixels before and after an axis; "same" puts an odd one behind.
    pub(super) fn along(&self, axis: usize, taps: usize, dilation: usize) -> Result<(usize, usize), Problem> {
        match self {
            Padding::Pixels(pixels) => Ok((pixels.get()[axis], pixels.get()[axis])),
            Padding::Named(name) if name == "valid" => Ok((0, 0)),
            Padding::Named(name) if name == "same" => {
                let total = taps.saturating_sub(1).saturating_mul(dilation);
                Ok((total / 2, total - total / 2))
            }
            Padding::Named(name) => Err(format!("its padding is \"{name}\"")),
        }
    }
}

impl Default for Padding {
    fn default() -> Self {
        Padding::Pixels(Pair::Same(0))
    }
}

fn single() -> Pair {
    Pair::Same(1)
}

fn ungrouped() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConvolutionOptions {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Pair,
    #[serde(default = "single")]
    stride: Pair,
    #[serde(default)]
    padding: Padding,
    #[serde(default = "single")]
    dilation: Pair,
    #[serde(default = "ungrouped")]
    groups: usize,
    #[serde(default)]
    padding_mode: Mode,
    #[serde(default)]
    input_size: Option<Pair>,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default, rename = "initializer")]
    _initializer: Option<Json>,
}

/// A convolution, or its adjoint, and a bias for each channel.
struct Convolved {
    convolution: Convolution,
    bias: Option<Vec<f32>>,
    adjoint: bool,
    shape: Vec<usize>,
}

/// Refuses groups that do not divide channels.
pub(super) fn check_groups(groups: usize, channels: [usize; 2]) -> Result<(), Problem> {
    let fits = groups > 0 && channels.iter().all(|n| *n > 0 && n % groups == 0);
    if fits { Ok(()) } else { Err(format!("its {groups} groups do not divide its channels, {channels:?}")) }
}

fn convolved(
    of: &Given<'_>,
    images: [usize; 3],
    options: ConvolutionOptions,
    kernel: &[usize],
) -> Result<Convolved, Problem> {
    let ConvolutionOptions { in_channels: inputs, out_channels: outputs, groups, .. } = options;
    check_groups(groups, [inputs, outputs])?;
    if images[0] != inputs || options.input_size.is_some_and(|size| size.get() != [images[1], images[2]]) {
        return Err(format!("it was made for other samples than those of shape {:?} here", of.sample));
    }
    let (taps, stride, dilation) = (options.kernel_size.get(), options.stride.get(), options.dilation.get());
    let axis = |at: usize| -> Result<Axis, Problem> {
        let (before, after) = options.padding.along(at, taps[at], dilation[at])?;
        let (stride, dilation, size) = (stride[at], dilation[at], images[1 + at]);
        Axis { taps: taps[at], stride, dilation, before, after, mode: options.padding_mode, size }.checked()
    };
    let axes = [axis(0)?, axis(1)?];
    check_weight(outputs / groups, &[inputs / groups, axes[0].taps, axes[1].taps])?;
    let weight = of.weights.get("weight", &[&[outputs, inputs / groups], kernel].concat())?;
    let convolution = Convolution { weight, outputs, inputs, groups, axes };
    let shape = checked(vec![outputs, axes[0].windows(), axes[1].windows()])?;
    Ok(Convolved { convolution, bias: of.weights.bias(options.bias, outputs)?, adjoint: false, shape })
}

fn conv2d(of: &Given<'_>) -> Built {
    let options: ConvolutionOptions = of.read()?;
    let kernel = options.kernel_size.get();
    Ok(Box::new(convolved(of, of.images()?, options, &kernel)?))
}

/// Sequences are images of one row.
fn conv1d(of: &Given<'_>) -> Built {
    let options: ConvolutionOptions = of.read()?;
    let &[channels, length] = of.sample else {
        return Err(format!("it takes sequences; a sample has the shape {:?} here", of.sample));
    };
    let along = |pair: Pair, name: &str| match pair {
        Pair::Same(n) => Ok(n),
        Pair::Both(_) => Err(format!("its {name} is a pair")),
    };
    let row = |pair: Pair, name: &str| Ok::<_, Problem>(Pair::Both([1, along(pair, name)?]));
    let taps = along(options.kernel_size, "kernelSize")?;
    let padding = match options.padding {
        Padding::Pixels(pixels) => Padding::Pixels(Pair::Both([0, along(pixels, "padding")?])),
        named => named,
    };
    let options = ConvolutionOptions {
        kernel_size: row(options.kernel_size, "kernelSize")?,
        stride: row(options.stride, "stride")?,
        dilation: row(options.dilation, "dilation")?,
        input_size: options.input_size.map(|size| row(size, "inputSize")).transpose()?,
        padding,
        ..options
    };
    let found = convolved(of, [channels, 1, length], options, &[taps])?;
    let shape = vec![found.shape[0], found.shape[2]];
    Ok(Box::new(Convolved { shape, ..found }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransposedOptions {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Pair,
    #[serde(default = "single")]
    stride: Pair,
    #[serde(default = "none")]
    padding: Pair,
    #[serde(default = "none")]
    output_padding: Pair,
    #[serde(default = "single")]
    dilation: Pair,
    #[serde(default = "ungrouped")]
    groups: usize,
    #[serde(default)]
    input_size: Option<Pair>,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default, rename = "initializer")]
    _initializer: Option<Json>,
}

fn none() -> Pair {
    Pair::Same(0)
}

/// The adjoint of the convolution of which the windows are the pixels that go in.
fn transposed(of: &Given<'_>) -> Built {
    let options: TransposedOptions = of.read()?;
    let TransposedOptions { in_channels, out_channels, groups, .. } = options;
    check_groups(groups, [in_channels, out_channels])?;
    let [channels, rows, columns] = of.images()?;
    if channels != in_channels || options.input_size.is_some_and(|size| size.get() != [rows, columns]) {
        return Err(format!("it was made for other samples than those of shape {:?} here", of.sample));
    }
    let (taps, stride, dilation) = (options.kernel_size.get(), options.stride.get(), options.dilation.get());
    let axis = |at: usize, extent: usize| -> Result<Axis, Problem> {
        let (padding, more) = (options.padding.get()[at], options.output_padding.get()[at]);
        let reach =
            taps[at].saturating_sub(1).checked_mul(dilation[at]).and_then(|n| n.checked_add(more)?.checked_add(1));
        let size = (extent - 1)
            .checked_mul(stride[at])
            .and_then(|n| n.checked_add(reach?)?.checked_sub(2 * padding.min(1 << 32)));
        let Some(size) = size.filter(|_| more < stride[at]) else {
            return Err("nothing is left of its images".to_string());
        };
        let (before, after) = (padding, padding);
        Axis { taps: taps[at], stride: stride[at], dilation: dilation[at], before, after, mode: Mode::Zeros, size }
            .checked()
    };
    let axes = [axis(0, rows)?, axis(1, columns)?];
    if axes[0].windows() != rows || axes[1].windows() != columns {
        return Err("its result does not have the size of which it is the adjoint".to_string());
    }
    check_weight(in_channels / groups, &[out_channels / groups, taps[0], taps[1]])?;
    let weight = of.weights.get("weight", &[in_channels, out_channels / groups, taps[0], taps[1]])?;
    let convolution = Convolution { weight, outputs: in_channels, inputs: out_channels, groups, axes };
    let shape = checked(vec![out_channels, axes[0].size, axes[1].size])?;
    let bias = of.weights.bias(options.bias, out_channels)?;
    Ok(Box::new(Convolved { convolution, bias, adjoint: true, shape }))
}

impl Layer for Convolved {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let numbers = count(&self.shape);
        let mut y = vec![0.0; numbers];
        if let Some(bias) = &self.bias {
            let of_channel = y.chunks_exact_mut(numbers / bias.len());
            of_channel.zip(bias).for_each(|(y, bias)| y.fill(f64::from(*bias)));
        }
        if self.adjoint {
            self.convolution.add_adjoint(x, &mut y);
        } else {
            self.convolution.add(x, &mut y);
        }
        y
    }

    fn operations(&self) -> f64 {
        self.convolution.cost()
    }

    fn map(&self) -> Option<Map<'_>> {
        Some(Map::Convolution(&self.convolution))
    }

    fn lipschitz(&self, norm: f64) -> f64 {
        norm
    }

    fn rounding(&self, _norm: f64, work: &Work) -> Result<Rounding, Stopped> {
        let convolution = &self.convolution;
        let gain = convolution.kernel_norm(work)?.upper(work)?;
        let offset = bias_norm(self.bias.as_deref(), count(&self.shape));
        if !self.adjoint {
            let (roundings, copies) = (convolution.roundings(), convolution.copies());
            return Ok(Rounding { roundings, gain, offset, copies, ..Rounding::default() });
        }
        // Results of different phases of a stride have other taps, and sums in orders of their own.
        let [rows, others] = [convolution.outputs, convolution.inputs].map(|n| n / convolution.groups);
        let taps = convolution.all_taps();
        let roundings = sqrt_of(rows.min(others * taps)).ceil() as usize * (rows * taps + 1);
        Ok(Rounding { roundings, gain, offset, ..Rounding::default() })
    }
}
