//! The layers that an exported network may have: what each computes, what is known of it, how it rounds. A group of them has a file.
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map as Object, Value as Json};

use crate::convolution::Convolution;
use crate::norm::{Method, Norm, dense, dense_cost};
use crate::outward::{mul, norm, sqrt};
use crate::rounding::Rounding;
use crate::work::{Stopped, Work};

mod affine;
mod functions;
mod moving;
mod pooling;
mod potential;

pub(crate) use functions::Share;

/// A layer for samples of one shape.
pub(crate) trait Layer: Send + Sync {
    /// Shape of the result of a sample.
    fn shape(&self) -> &[usize];

    /// What it computes of a sample, in float64.
    fn apply(&self, x: &[f64]) -> Vec<f64>;

    /// Operations of [`Layer::apply`].
    fn operations(&self) -> f64 {
        8.0 * count(self.shape()) as f64
    }

    /// The linear map by which it computes, of which a norm is to be proved.
    fn map(&self) -> Option<Map<'_>> {
        None
    }

    /// A bound of the Lipschitz constant, given one of the norm of its map (1 without one).
    fn lipschitz(&self, norm: f64) -> f64;

    /// How it rounds, given a bound of the norm of its map.
    fn rounding(&self, norm: f64, work: &Work) -> Result<Rounding, Stopped>;

    /// The weight `[classes, features]` of a layer that is a dense map of the whole sample.
    fn head(&self) -> Option<(&[f32], usize, usize)> {
        None
    }
}

/// A linear map with a weight.
pub(crate) enum Map<'a> {
    /// `[rows, columns]`.
    Dense(&'a [f32], usize, usize),
    Convolution(&'a Convolution),
}

impl Map<'_> {
    /// Proofs to be tried, of which the best bound counts.
    pub fn methods(&self) -> Vec<Method> {
        match self {
            Map::Dense(..) => vec![Method::Matrix],
            Map::Convolution(convolution) => convolution.methods(),
        }
    }

    /// Whether there is such a proof of it.
    pub fn allows(&self, method: Method) -> bool {
        match self {
            Map::Dense(..) => method == Method::Matrix,
            Map::Convolution(_) => !matches!(method, Method::Constant | Method::Matrix),
        }
    }

    /// What a proof needs; none where there is no such proof of this map, or none that is affordable.
    pub fn norm(&self, method: Method, work: &Work) -> Result<Option<Norm>, Stopped> {
        match self {
            Map::Dense(weight, rows, columns) if method == Method::Matrix => {
                dense(weight, *rows, *columns, work).map(Some)
            }
            Map::Dense(..) => Ok(None),
            Map::Convolution(convolution) => convolution.norm(method, work),
        }
    }

    /// Operations of an attempt at a proof.
    pub fn cost(&self, method: Method) -> f64 {
        match self {
            Map::Dense(_, rows, columns) => dense_cost(*rows, *columns),
            Map::Convolution(convolution) => convolution.expense(method).map_or(0.0, |(cost, _)| cost),
        }
    }

    /// Operations of what rounding needs beside.
    pub fn rounding_cost(&self) -> f64 {
        match self {
            Map::Dense(..) => 0.0,
            Map::Convolution(convolution) => 2.0 * convolution.kernel_cost(),
        }
    }
}

/// Why a layer cannot be verified, in words.
pub(crate) type Problem = String;

/// Numbers of a sample on its way: more are not looked at.
const MOST_NUMBERS: usize = 1 << 24;

pub(crate) fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Axes of a value at most.
const MOST_AXES: usize = 8;

/// A shape whose axes are not too many, and whose numbers are neither none nor too many.
fn checked(shape: Vec<usize>) -> Result<Vec<usize>, Problem> {
    if shape.len() > MOST_AXES {
        return Err(format!("a value of {} axes has more than {MOST_AXES}", shape.len()));
    }
    let numbers = shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n));
    match numbers {
        Some(1..=MOST_NUMBERS) => Ok(shape),
        _ => Err(format!("a value of shape {shape:?} has no numbers, or more than {MOST_NUMBERS}")),
    }
}

/// Rows or columns of a weight's smaller side: more are not looked at.
const MOST_ROWS: usize = 1 << 13;

/// Refuses a weight whose Gram matrix would take too much memory: so many rows, and columns that are a product.
fn check_weight(rows: usize, columns: &[usize]) -> Result<(), Problem> {
    let columns = columns.iter().fold(1_usize, |all, n| all.saturating_mul(*n));
    if rows.min(columns) <= MOST_ROWS {
        return Ok(());
    }
    Err(format!("its weight of {rows} rows and {columns} columns is too large; the smaller may be {MOST_ROWS}"))
}

/// The tensors of a file, those of a layer under a prefix.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub file: &'a SafeTensors<'a>,
    pub prefix: &'a str,
}

impl Weights<'_> {
    /// A float32 tensor of a shape, of finite numbers.
    fn get(&self, key: &str, shape: &[usize]) -> Result<Vec<f32>, Problem> {
        let name = format!("{}{key}", self.prefix);
        let tensor = self.file.tensor(&name).map_err(|_| format!("the file has no tensor \"{name}\""))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(format!(
                "the tensor \"{name}\" is {:?} {:?}; expected F32 {shape:?}",
                tensor.dtype(),
                tensor.shape()
            ));
        }
        let (numbers, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match values.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(format!("number {at} of the tensor \"{name}\" is {}", values[at])),
            None => Ok(values),
        }
    }

    fn bias(&self, biased: bool, outputs: usize) -> Result<Option<Vec<f32>>, Problem> {
        biased.then(|| self.get("bias", &[outputs])).transpose()
    }

    /// A number by itself.
    pub fn scalar(&self, key: &str) -> Result<f32, Problem> {
        Ok(self.get(key, &[])?[0])
    }
}

/// The layer of a type, for samples of a shape.
pub(crate) fn build(
    kind: &str,
    options: &Object<String, Json>,
    weights: Weights<'_>,
    sample: &[usize],
) -> Result<Box<dyn Layer>, Problem> {
    let of = Given { options, weights, sample };
    let layer = affine::build(kind, &of)
        .or_else(|| potential::build(kind, &of))
        .or_else(|| pooling::build(kind, &of))
        .or_else(|| moving::build(kind, &of))
        .or_else(|| functions::build(kind, &of));
    layer.unwrap_or_else(|| Err("this verifier does not know layers of that type".to_string()))
}

/// What a layer is built of.
struct Given<'a> {
    options: &'a Object<String, Json>,
    weights: Weights<'a>,
    sample: &'a [usize],
}

type Built = Result<Box<dyn Layer>, Problem>;

impl Given<'_> {
    /// The options, of which none may be unknown: what it does not know may change what a layer computes.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_value(Json::Object(self.options.clone()))
            .map_err(|cause| format!("its options are not known: {cause}"))
    }

    /// Channels, rows and columns of images.
    fn images(&self) -> Result<[usize; 3], Problem> {
        self.sample.try_into().map_err(|_| format!("it takes images; a sample has the shape {:?} here", self.sample))
    }

    /// Channels, the first axis of a sample, and numbers of each.
    fn channels(&self) -> Result<(usize, usize), Problem> {
        let [channels, rest @ ..] = self.sample else { return Err("a sample is one number here".to_string()) };
        Ok((*channels, count(rest)))
    }

    /// An axis of a batch, of which the first is that of the samples, as one of a sample.
    fn axis(&self, dim: i64) -> Result<usize, Problem> {
        let rank = self.sample.len() as i64 + 1;
        match if dim < 0 { dim.saturating_add(rank) } else { dim } {
            at if (1..rank).contains(&at) => Ok(at as usize - 1),
            _ => Err(format!("axis {dim} is none of a sample of shape {:?}", self.sample)),
        }
    }
}

/// Whole numbers for both axes of images.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Pair {
    Same(usize),
    Both([usize; 2]),
}

impl Pair {
    fn get(self) -> [usize; 2] {
        match self {
            Pair::Same(n) => [n, n],
            Pair::Both(both) => both,
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

/// A constant that layers keep: finite and above 0.
fn constant(k: f64) -> Result<f64, Problem> {
    if k.is_finite() && k > 0.0 { Ok(k) } else { Err(format!("its constant kCoefLip is {k}")) }
}

/// The float32 that results are multiplied by to keep a constant, rounded down; nothing for 1.
fn scale(k: f64) -> Option<f64> {
    (k != 1.0).then(|| {
        let nearest = k as f32;
        f64::from(if f64::from(nearest) > k { nearest.next_down() } else { nearest })
    })
}

fn scaled(mut y: Vec<f64>, k: f64) -> Vec<f64> {
    if let Some(scale) = scale(k) {
        y.iter_mut().for_each(|y| *y *= scale);
    }
    y
}

/// At least the norm of a bias that stands at each place of `results` numbers.
fn bias_norm(bias: Option<&[f32]>, results: usize) -> f64 {
    let Some(bias) = bias else { return 0.0 };
    let values: Vec<f64> = bias.iter().map(|b| f64::from(*b)).collect();
    mul(norm(&values), sqrt((results as f64 / values.len() as f64).next_up()))
}
