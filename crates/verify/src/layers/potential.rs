//! Gradient steps y = k (x - Wᵀ relu(W x + b)).
use serde::Deserialize;

use super::affine::{Padding, check_groups, rows_times};
use super::{Built, Given, Layer, Map, Pair, bias_norm, check_weight, checked, constant, count, one, scaled, yes};
use crate::axis::{Axis, Mode};
use crate::convolution::{Convolution, sum_roundings};
use crate::outward::{add, mul, sqrt_of};
use crate::rounding::Rounding;
use crate::work::{Stopped, Work};

pub(super) fn build(kind: &str, of: &Given<'_>) -> Option<Built> {
    Some(match kind {
        "ConvexPotentialLinear" => dense(of),
        "ConvexPotentialConv2d" => convolved(of),
        _ => return None,
    })
}

/// A linear map and the way back from its results.
enum There {
    /// Weight `[hidden, features]`.
    Dense {
        weight: Vec<f32>,
        hidden: usize,
        features: usize,
    },
    Convolution(Convolution),
}

struct Potential {
    there: There,
    bias: Option<Vec<f32>>,
    k: f64,
    shape: Vec<usize>,
    /// Numbers of a sample in between.
    between: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DenseOptions {
    features: usize,
    hidden_features: Option<usize>,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

fn dense(of: &Given<'_>) -> Built {
    let DenseOptions { features, hidden_features, bias, k_coef_lip } = of.read()?;
    let hidden = hidden_features.unwrap_or(features);
    if of.sample.last() != Some(&features) {
        return Err(format!("it takes {features} features; a sample has the shape {:?} here", of.sample));
    }
    check_weight(hidden, &[features])?;
    let weight = of.weights.get("weight", &[hidden, features])?;
    let between = checked(vec![count(of.sample) / features, hidden])?;
    Ok(Box::new(Potential {
        there: There::Dense { weight, hidden, features },
        bias: of.weights.bias(bias, hidden)?,
        k: constant(k_coef_lip)?,
        shape: of.sample.to_vec(),
        between: count(&between),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConvolutionOptions {
    channels: usize,
    hidden_channels: Option<usize>,
    kernel_size: Pair,
    #[serde(default = "same")]
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
    #[serde(default = "one")]
    k_coef_lip: f64,
}

fn same() -> Padding {
    Padding::Named("same".to_string())
}

fn single() -> Pair {
    Pair::Same(1)
}

fn ungrouped() -> usize {
    1
}

fn convolved(of: &Given<'_>) -> Built {
    let options: ConvolutionOptions = of.read()?;
    let [channels, rows, columns] = of.images()?;
    let hidden = options.hidden_channels.unwrap_or(options.channels);
    check_groups(options.groups, [options.channels, hidden])?;
    if channels != options.channels || options.input_size.is_some_and(|size| size.get() != [rows, columns]) {
        return Err(format!("it was made for other samples than those of shape {:?} here", of.sample));
    }
    if !matches!(options.padding_mode, Mode::Zeros | Mode::Circular) {
        return Err("its padding copies the border of images".to_string());
    }
    let (taps, dilation) = (options.kernel_size.get(), options.dilation.get());
    let axis = |at: usize, size: usize| {
        let (before, after) = options.padding.along(at, taps[at], dilation[at])?;
        let mode = options.padding_mode;
        let axis = Axis { taps: taps[at], stride: 1, dilation: dilation[at], before, after, mode, size }.checked()?;
        if axis.windows() == size { Ok(axis) } else { Err("it does not keep the size of images".to_string()) }
    };
    let axes = [axis(0, rows)?, axis(1, columns)?];
    let [inner, outer] = [channels, hidden].map(|n| n / options.groups);
    check_weight(outer, &[inner, taps[0], taps[1]])?;
    check_weight(inner, &[outer, taps[0], taps[1]])?;
    let weight = of.weights.get("weight", &[hidden, inner, taps[0], taps[1]])?;
    let convolution = Convolution { weight, outputs: hidden, inputs: channels, groups: options.groups, axes };
    let between = checked(vec![hidden, rows, columns])?;
    Ok(Box::new(Potential {
        there: There::Convolution(convolution),
        bias: of.weights.bias(options.bias, hidden)?,
        k: constant(options.k_coef_lip)?,
        shape: of.sample.to_vec(),
        between: count(&between),
    }))
}

/// The least normal number of float32 four times, and its unit roundoff, as certificates count them.
const FLUSHED: f64 = 4.0 * f32::MIN_POSITIVE as f64;
const UNIT: f64 = f32::EPSILON as f64 / 2.0;
/// More than some dozen operations of float64 may lose.
const SLACK: f64 = 1.0 + 1e-12;

impl Layer for Potential {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let bias = self.bias.as_deref();
        let mut y = vec![0.0; x.len()];
        match &self.there {
            There::Dense { weight, hidden, features } => {
                let mut h = rows_times(weight, bias, *features, x);
                h.iter_mut().for_each(|h| *h = h.max(0.0));
                for (y, h) in y.chunks_exact_mut(*features).zip(h.chunks_exact(*hidden)) {
                    for (row, h) in weight.chunks_exact(*features).zip(h) {
                        y.iter_mut().zip(row).for_each(|(y, w)| *y += f64::from(*w) * h);
                    }
                }
            }
            There::Convolution(convolution) => {
                let mut h = vec![0.0; self.between];
                if let Some(bias) = bias {
                    let of_channel = h.chunks_exact_mut(self.between / bias.len());
                    of_channel.zip(bias).for_each(|(h, bias)| h.fill(f64::from(*bias)));
                }
                convolution.add(x, &mut h);
                h.iter_mut().for_each(|h| *h = h.max(0.0));
                convolution.add_adjoint(&h, &mut y);
            }
        }
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x - *y);
        scaled(y, self.k)
    }

    fn operations(&self) -> f64 {
        match &self.there {
            There::Dense { hidden, .. } => 4.0 * count(&self.shape) as f64 * *hidden as f64,
            There::Convolution(convolution) => 2.0 * convolution.cost(),
        }
    }

    fn map(&self) -> Option<Map<'_>> {
        Some(match &self.there {
            There::Dense { weight, hidden, features } => Map::Dense(weight, *hidden, *features),
            There::Convolution(convolution) => Map::Convolution(convolution),
        })
    }

    /// k max(1, ‖W‖² - 1): the Jacobian I - Wᵀ D W has eigenvalues from 1 - ‖W‖² to 1.
    fn lipschitz(&self, norm: f64) -> f64 {
        let squared = mul(norm, norm);
        mul(self.k, if squared <= 2.0 { 1.0 } else { (squared - 1.0).next_up() })
    }

    /// With n and m for the roundings there and back, G and H for the gains, h = relu(W x + b) is off by gamma_n M, M = G ‖x‖ + ‖b‖, and Wᵀ h by
    /// A gamma_(n + m) M with A = (n ‖W‖ + m H) / (n + m); see docs/certificates.md.
    fn rounding(&self, norm: f64, work: &Work) -> Result<Rounding, Stopped> {
        let results = count(&self.shape);
        let (n, m, gains, copies) = match &self.there {
            There::Dense { hidden, features, .. } => {
                (sum_roundings(*features, *hidden), sum_roundings(*hidden, *features), [norm, norm], 1)
            }
            There::Convolution(c) => {
                let gains = [c.kernel_norm(work)?.upper(work)?, c.adjoint_kernel_norm(work)?.upper(work)?];
                let back = sum_roundings(c.outputs / c.groups * c.all_taps(), c.inputs / c.groups);
                (c.roundings(), back, gains, c.copies())
            }
        };
        let [there, back] = gains.map(|gain| gain.max(norm));
        let mean = (n as f64 * norm + m as f64 * back) / (n + m) as f64;
        let roundings = n + m + 1 + usize::from(self.k != 1.0);
        let added = bias_norm(self.bias.as_deref(), self.between);
        let scale = self.k.max(1.0) * SLACK;
        // What both ways may flush: numbers, and parts of the norms of what goes in.
        let root = |count: usize| sqrt_of(count);
        let per_input = norm * root(self.between) * root((n + 1) * copies);
        let per_hidden = root(results) * root((m + 1) * copies);
        let numbers = norm * ((n + 2) as f64 * root(self.between) + there * root(results))
            + (m + 4) as f64 * root(results)
            + back * root(self.between)
            + 2.0 * per_hidden * added;
        let flushed = scale * (per_input + 2.0 * per_hidden * there + root(results));
        Ok(Rounding {
            roundings,
            gain: add(self.k * SLACK * (1.0 + mean * there), flushed * FLUSHED / (roundings as f64 * UNIT)),
            offset: scale * back.max(1.0) * added,
            peak: scale * there.max(1.0 + back * there),
            copies: 1,
            lost: scale * FLUSHED * numbers,
        })
    }
}
