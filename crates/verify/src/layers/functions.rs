//! Functions of single numbers and of channels, with few weights or none.
use serde::Deserialize;

use super::{Built, Given, Layer, Problem, bias_norm, checked, constant, count, one, scaled, yes};
use crate::outward::{div, mul, sqrt_of};
use crate::rounding::Rounding;
use crate::work::{Stopped, Work};

pub(super) fn build(kind: &str, of: &Given<'_>) -> Option<Built> {
    Some(match kind {
        "Sigmoid" => sigmoids(of),
        "Tanh" => tanh(of),
        "Softmax" => softmax(of),
        "LPReLU" => lp_relu(of),
        "HouseHolder" => house_holder(of),
        "Normalize" => normalize(of),
        "ScaleBiasLayer" => scale_bias(of),
        "LayerCentering" => layer_centering(of),
        _ => return None,
    })
}

/// What becomes of the numbers of a sample.
type Computed = Box<dyn Fn(&[f64]) -> Vec<f64> + Send + Sync>;

/// A function whose bound and rounding are known when it is built.
struct Function {
    compute: Computed,
    shape: Vec<usize>,
    lipschitz: f64,
    rounding: Rounding,
}

impl Layer for Function {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        (self.compute)(x)
    }

    fn operations(&self) -> f64 {
        20.0 * count(&self.shape) as f64
    }

    fn lipschitz(&self, _norm: f64) -> f64 {
        self.lipschitz
    }

    fn rounding(&self, _norm: f64, _work: &Work) -> Result<Rounding, Stopped> {
        Ok(self.rounding)
    }
}

impl Function {
    /// Of samples that keep their shape.
    fn built(
        of: &Given<'_>,
        lipschitz: f64,
        rounding: Rounding,
        compute: impl Fn(&[f64]) -> Vec<f64> + Send + Sync + 'static,
    ) -> Built {
        Ok(Box::new(Function { compute: Box::new(compute), shape: of.sample.to_vec(), lipschitz, rounding }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn sigmoid(x: f64) -> f64 {
    // Of which no exponential overflows.
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// 3 units of a result that is at most ‖x‖ / 4 + 1/2.
fn sigmoids(of: &Given<'_>) -> Built {
    let Nothing {} = of.read()?;
    let offset = sqrt_of(count(of.sample)) / 2.0;
    let rounding = Rounding { roundings: 6, offset, ..Rounding::default() };
    Function::built(of, 0.25, rounding, |x| x.iter().map(|x| sigmoid(*x)).collect())
}

/// 3 units of a result that is at most ‖x‖.
fn tanh(of: &Given<'_>) -> Built {
    let Nothing {} = of.read()?;
    let rounding = Rounding { roundings: 6, ..Rounding::default() };
    Function::built(of, 1.0, rounding, |x| x.iter().map(|x| x.tanh()).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SoftmaxOptions {
    #[serde(default = "last")]
    dim: i64,
}

fn last() -> i64 {
    -1
}

/// exp(x) over its sum along an axis of m numbers.
fn softmax(of: &Given<'_>) -> Built {
    let SoftmaxOptions { dim } = of.read()?;
    let at = of.axis(dim)?;
    let (m, inner) = (of.sample[at], count(&of.sample[at + 1..]));
    let rows = count(of.sample) / m;
    let logarithm = (m as f64).ln().ceil() as usize;
    let roundings = m + 8 + 2 * logarithm;
    let rounding = Rounding { roundings, offset: sqrt_of(rows), peak: 2.0, ..Rounding::default() };
    Function::built(of, 0.5, rounding, move |x| {
        let mut y = vec![0.0; x.len()];
        for row in 0..rows {
            let first = row / inner * m * inner + row % inner;
            let along = || (0..m).map(|i| first + i * inner);
            let largest = along().map(|at| x[at]).fold(f64::NEG_INFINITY, f64::max);
            along().for_each(|at| y[at] = (x[at] - largest).exp());
            let sum: f64 = along().map(|at| y[at]).sum();
            along().for_each(|at| y[at] /= sum);
        }
        y
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LpReluOptions {
    #[serde(default = "single")]
    num_parameters: usize,
    /// What slopes started from.
    #[serde(default, rename = "init")]
    _init: f64,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

fn single() -> usize {
    1
}

/// Slopes of negative numbers, one for all channels or one for each, within the constant; where that is below 1 it is the slope of positive ones.
fn lp_relu(of: &Given<'_>) -> Built {
    let LpReluOptions { num_parameters, k_coef_lip, .. } = of.read()?;
    let (channels, each) = of.channels()?;
    if num_parameters != 1 && num_parameters != channels {
        return Err(format!("it has {num_parameters} slopes for {channels} channels"));
    }
    let most = f64::from(round_down(constant(k_coef_lip)?));
    let rising = most.min(1.0);
    let weight = of.weights.get("weight", &[num_parameters])?;
    let slopes: Vec<f64> = weight.iter().map(|slope| f64::from(*slope).clamp(-most, most)).collect();
    let largest = slopes.iter().fold(rising, |most, slope| most.max(slope.abs()));
    let rounding = Rounding { roundings: 1, ..Rounding::default() };
    Function::built(of, largest, rounding, move |x| {
        let slope = |at: usize| slopes[if slopes.len() == 1 { 0 } else { at / each }];
        x.iter().enumerate().map(|(at, x)| if *x > 0.0 { x * rising } else { x * slope(at) }).collect()
    })
}

fn round_down(k: f64) -> f32 {
    let nearest = k as f32;
    if f64::from(nearest) > k { nearest.next_down() } else { nearest }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HouseHolderOptions {
    channels: usize,
    /// What angles started from.
    #[serde(default, rename = "thetaInitializer")]
    _theta_initializer: serde_json::Value,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

/// Angles whose cosines and sines are known to be as exact as rounding takes them to be.
const LARGEST_ANGLE: f32 = 8192.0;

/// Pairs z of channels, half of them apart: z - 2 relu(v·z) v with v = (sin(theta / 2), -cos(theta / 2)).
fn house_holder(of: &Given<'_>) -> Built {
    let HouseHolderOptions { channels, k_coef_lip, .. } = of.read()?;
    let k = constant(k_coef_lip)?;
    let (given, each) = of.channels()?;
    if given != channels || !channels.is_multiple_of(2) {
        return Err(format!("it takes {channels} channels in pairs; a sample has {given} here"));
    }
    let theta = of.weights.get("theta", &[channels / 2])?;
    if let Some(angle) = theta.iter().find(|angle| angle.abs() > LARGEST_ANGLE) {
        return Err(format!("rounding is bounded for angles up to {LARGEST_ANGLE}; it has {angle}"));
    }
    let directions: Vec<(f64, f64)> = theta.iter().map(|angle| (f64::from(*angle) / 2.0).sin_cos()).collect();
    let rounding = Rounding { roundings: 36, peak: 2.0 * k, ..Rounding::default() };
    Function::built(of, k, rounding, move |x| {
        let mut y = scaled(x.to_vec(), k);
        let (first, second) = y.split_at_mut(x.len() / 2);
        for (at, (a, b)) in first.iter_mut().zip(second).enumerate() {
            let (sine, cosine) = directions[at / each];
            let twice = 2.0 * (*a * sine - *b * cosine).max(0.0);
            (*a, *b) = (*a - twice * sine, *b + twice * cosine);
        }
        y
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PerChannel {
    One(f64),
    Each(Vec<f64>),
}

impl PerChannel {
    /// In float32, as the layer computes.
    fn values(self) -> Result<Vec<f32>, Problem> {
        let values: Vec<f32> = match self {
            PerChannel::One(value) => vec![value as f32],
            PerChannel::Each(values) => values.into_iter().map(|value| value as f32).collect(),
        };
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return Err("its mean or std is not finite".to_string());
        }
        Ok(values)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NormalizeOptions {
    mean: PerChannel,
    std: PerChannel,
}

/// (x - mean) / std.
fn normalize(of: &Given<'_>) -> Built {
    let NormalizeOptions { mean, std } = of.read()?;
    let (channels, each) = of.channels()?;
    let (means, stds) = (mean.values()?, std.values()?);
    let fits = |values: &[f32]| values.len() == 1 || values.len() == channels;
    if !fits(&means) || !fits(&stds) || stds.iter().any(|std| *std < f32::MIN_POSITIVE) {
        return Err(format!("its means and stds do not fit {channels} channels, or a std is too small"));
    }
    let least = f64::from(stds.iter().copied().fold(f32::INFINITY, f32::min));
    let offset = div(bias_norm(Some(&means), count(of.sample)), least.min(1.0));
    let rounding = Rounding { roundings: 2, offset, peak: 1.0, ..Rounding::default() };
    let lipschitz = if least == 1.0 { 1.0 } else { div(1.0, least) };
    Function::built(of, lipschitz, rounding, move |x| {
        let of = |values: &[f32], at: usize| f64::from(values[if values.len() == 1 { 0 } else { at / each }]);
        x.iter().enumerate().map(|(at, x)| (x - of(&means, at)) / of(&stds, at)).collect()
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScaleBiasOptions {
    /// What the scalar started from.
    #[serde(default, rename = "scalar")]
    _scalar: f64,
    #[serde(default = "single")]
    num_features: usize,
    #[serde(default = "yes")]
    bias: bool,
}

/// scalar x + bias.
fn scale_bias(of: &Given<'_>) -> Built {
    let ScaleBiasOptions { num_features, bias, .. } = of.read()?;
    let (channels, each) = of.channels()?;
    let bias = of.weights.bias(bias, num_features)?;
    if bias.is_some() && num_features != channels {
        return Err(format!("it has {num_features} biases for {channels} channels"));
    }
    let scalar = f64::from(of.weights.scalar("scalar")?);
    let offset = bias_norm(bias.as_deref(), count(of.sample));
    let rounding = Rounding { roundings: 2, offset, ..Rounding::default() };
    Function::built(of, scalar.abs(), rounding, move |x| {
        let added = |at: usize| bias.as_ref().map_or(0.0, |bias| f64::from(bias[at / each]));
        x.iter().enumerate().map(|(at, x)| scalar * x + added(at)).collect()
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LayerCenteringOptions {
    num_features: usize,
    #[serde(default = "last_two")]
    dim: Vec<i64>,
    #[serde(default = "yes")]
    bias: bool,
}

fn last_two() -> Vec<i64> {
    vec![-2, -1]
}

/// x less its mean over some axes, plus a bias for each channel.
fn layer_centering(of: &Given<'_>) -> Built {
    let LayerCenteringOptions { num_features, dim, bias } = of.read()?;
    let (channels, each) = of.channels()?;
    if num_features != channels {
        return Err(format!("it takes {num_features} channels; a sample has {channels} here"));
    }
    let mut axes = dim.iter().map(|dim| of.axis(*dim)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.is_empty() || axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("its axes are {dim:?}"));
    }
    let m = axes.iter().map(|at| of.sample[*at]).product::<usize>();
    let bias = of.weights.bias(bias, channels)?;
    let offset = bias_norm(bias.as_deref(), count(of.sample));
    let rounding = Rounding { roundings: m + 4, offset, peak: sqrt_of(m), ..Rounding::default() };
    let shape = of.sample.to_vec();
    // The mean that a number has a part in: its place without those axes.
    let mean = move |at: usize| {
        let (mut rest, mut place, mut step) = (at, 0, 1);
        for (axis, extent) in shape.iter().enumerate().rev() {
            if !axes.contains(&axis) {
                (place, step) = (place + rest % extent * step, step * extent);
            }
            rest /= extent;
        }
        place
    };
    Function::built(of, 1.0, rounding, move |x| {
        let mut sums = vec![0.0; x.len() / m];
        x.iter().enumerate().for_each(|(at, x)| sums[mean(at)] += x);
        let added = |at: usize| bias.as_ref().map_or(0.0, |bias| f64::from(bias[at / each]));
        x.iter().enumerate().map(|(at, x)| x - sums[mean(at)] / m as f64 + added(at)).collect()
    })
}

/// A share below which, or a constant below or above the inverse of which, the arithmetic of shares is not looked at: 2^-60.
const LEAST_SHARE: f64 = 1.0 / (1_u64 << 60) as f64;

/// How two branches are mixed: k a x + (1 - a) branch(x) with a = sigmoid(alpha).
pub(crate) struct Share {
    pub factor: f64,
    /// What float32 makes of it is off by at most so much of ‖x‖, relative to gamma of the roundings.
    gain: f64,
    shape: Vec<usize>,
}

impl Share {
    /// The share of the input, and that of the branch. The engine's sigmoid is within 3 units, 6 u of itself, its complement as much of that and
    /// a rounding; the constant, its product and that with x round too.
    pub fn both(alpha: f32, k: f64, shape: &[usize]) -> Result<[Share; 2], Problem> {
        let k = constant(k)?;
        let a = sigmoid(f64::from(alpha));
        let rest = sigmoid(-f64::from(alpha));
        // Beyond these float32 may take a share, or its product with the constant, for 0 or for infinite.
        if a < LEAST_SHARE || rest < LEAST_SHARE || !(LEAST_SHARE..=1.0 / LEAST_SHARE).contains(&k) {
            return Err(format!("its alpha {alpha} or constant {k} leaves shares that float32 may not hold"));
        }
        let shape = checked(shape.to_vec())?;
        Ok([(k * a, 0.0), (rest, 1.0)].map(|(factor, gain)| Share { factor, gain, shape: shape.clone() }))
    }
}

impl Layer for Share {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| x * self.factor).collect()
    }

    /// Two roundings of a function within a unit, of the constant and of a product.
    fn lipschitz(&self, _norm: f64) -> f64 {
        mul(self.factor, 1.0 + 16.0 * f64::EPSILON)
    }

    fn rounding(&self, _norm: f64, _work: &Work) -> Result<Rounding, Stopped> {
        Ok(Rounding { roundings: 9, gain: self.gain, ..Rounding::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoids_are_those_of_both_sides() {
        for x in [-800.0, -3.0, 0.0, 1e-9, 40.0, 800.0] {
            assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15);
        }
        assert_eq!(sigmoid(0.0), 0.5);
    }
}
