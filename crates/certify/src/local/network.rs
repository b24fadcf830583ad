//! A network as a graph of affine maps and activations, as far as its layers say what they compute.
use serde::Deserialize;

use super::kinks::{Form, Kinks, sorts, windows};
use super::map::{Convolution, Dense, Map, padded};
use super::vector::norm;
use crate::axis::PaddingMode;
use crate::error::{Error, Result};
use crate::network::{Step, lipschitz_uppers};
use crate::norm::exact;
use crate::rounding::{UNIT, add_up, mul_up};

/// What a layer computes of a sample, or a part of it; numbers stand in the order of the engine, channels first. `weight`, `bias` and the
/// like are places in the list of values given with the pieces.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Piece {
    /// W x + b with a weight `[outputs, inputs]`.
    Dense {
        /// Where the weight is.
        weight: usize,
        /// Where the bias is, if there is one.
        bias: Option<usize>,
        /// Numbers of x.
        inputs: usize,
    },
    /// A convolution of an image `[channels, height, width]`.
    Convolution {
        /// Where the weight is.
        weight: usize,
        /// Where the bias is, if there is one.
        bias: Option<usize>,
        /// `[outputs, inputs / groups, kh, kw]`.
        shape: [usize; 4],
        /// Height and width.
        image: [usize; 2],
        /// Pixels between windows.
        stride: [usize; 2],
        /// Pixels between taps.
        dilation: [usize; 2],
        /// Top, left, bottom, right.
        padding: [usize; 4],
        /// What stands there.
        padding_mode: PaddingMode,
        /// Groups of channels.
        groups: usize,
    },
    /// x times a number, plus one for each of the channels.
    Scale {
        /// Where the factor is.
        factor: usize,
        /// Where the numbers that are added are, if there are any.
        bias: Option<usize>,
        /// Numbers of x for each of them.
        places: usize,
        /// Channels of x.
        channels: usize,
    },
    /// (x - mean) / std, with numbers for each channel or one for all.
    Normalize {
        /// Numbers that are taken off.
        mean: Vec<f64>,
        /// Numbers that are divided by.
        std: Vec<f64>,
        /// Numbers of x for each channel.
        places: usize,
        /// Channels of x.
        channels: usize,
    },
    /// Groups of consecutive channels in ascending order.
    Sort {
        /// Channels of a group.
        group: usize,
        /// Channels.
        channels: usize,
        /// Numbers of each channel.
        places: usize,
        /// What results are multiplied by.
        scale: f64,
    },
    /// max(x, 0).
    Relu {
        /// Numbers of x.
        inputs: usize,
    },
    /// max(x, 0), then max(-x, 0).
    MaxMin {
        /// Numbers of x.
        inputs: usize,
        /// What results are multiplied by.
        scale: f64,
    },
    /// The norm of each window of each channel; windows do not overlap, and lie within the image.
    Norms {
        /// Channels.
        channels: usize,
        /// Height and width.
        image: [usize; 2],
        /// Rows and columns of a window.
        kernel: [usize; 2],
        /// Pixels from one to the next.
        stride: [usize; 2],
        /// What results are multiplied by.
        scale: f64,
    },
    /// The largest number of such windows.
    Maxima {
        /// Channels.
        channels: usize,
        /// Height and width.
        image: [usize; 2],
        /// Rows and columns of a window.
        kernel: [usize; 2],
        /// Pixels from one to the next.
        stride: [usize; 2],
    },
}

/// A network of which patterns are looked at; values are numbered, the input being number 0.
pub(super) struct Network {
    pub values: Vec<Value>,
}

/// A value of the network.
pub(super) struct Value {
    pub node: Node,
    pub size: usize,
    /// At least its Lipschitz constant as a function of the input.
    pub lipschitz: f64,
}

/// What a value is computed from, and how.
pub(super) enum Node {
    Input,
    Map {
        from: usize,
        map: Map,
    },
    /// `steps` are at least the Lipschitz constants of the coordinates of units as functions of the input.
    Kinks {
        from: usize,
        kinks: Kinks,
        steps: Vec<f64>,
    },
    /// A layer that does not say what it computes.
    Opaque {
        from: usize,
        lipschitz: f64,
    },
    Sum {
        from: Vec<usize>,
    },
    Concat {
        from: Vec<usize>,
    },
}

/// The values of the network at an input, near the exact ones.
pub(super) struct Point {
    /// None where a layer on the way is opaque.
    pub values: Vec<Option<Vec<f64>>>,
    /// At least the norms of the values.
    pub norms: Vec<f64>,
    /// At least the norms of what they are off by.
    pub errors: Vec<f64>,
    /// Of activations the sizes of their units.
    pub sizes: Vec<Vec<f64>>,
}

/// Sorts of larger groups take as many rounds, in each of which bounds are lost.
const LARGEST_GROUP: usize = 8;

impl Network {
    /// `pieces` says of each step what it computes, if it is a layer and says so; `values` holds the float32 numbers that they refer to; `inputs` is
    /// the size of a sample. `SHAPE_MISMATCH` where sizes do not fit, `INVALID_ARGUMENT` for pieces that are none.
    pub fn new(
        steps: &[Step],
        pieces: &[Option<Vec<Piece>>],
        numbers: &[Vec<f32>],
        sizes: &[usize],
    ) -> Result<Network> {
        let bounds = lipschitz_uppers(steps)?;
        if pieces.len() != steps.len() || sizes.len() != steps.len() + 1 {
            return Err(Error::shape(format!(
                "{} steps have {} lists of pieces and {} sizes; give one of each for each, and the size of the input first",
                steps.len(),
                pieces.len(),
                sizes.len()
            )));
        }
        let input = Value { node: Node::Input, size: sizes[0], lipschitz: 1.0 };
        let mut network = Network { values: vec![input] };
        // Of the input and each step the number of its value.
        let mut of_step = vec![0];
        for (i, (step, pieces)) in steps.iter().zip(pieces).enumerate() {
            match step {
                Step::Layer { from, layer } => {
                    let from = of_step[*from];
                    let nodes = pieces.as_deref().map(|pieces| nodes_of(pieces, numbers)).transpose()?.flatten();
                    match nodes {
                        Some(nodes) => network.chain(from, nodes)?,
                        None => network.push(Node::Opaque { from, lipschitz: layer.lipschitz }, sizes[i + 1]),
                    }
                }
                Step::Sum { from } => {
                    let from = from.iter().map(|&value| of_step[value]).collect();
                    network.push(Node::Sum { from }, sizes[i + 1]);
                }
                Step::Concat { from } => {
                    let from = from.iter().map(|&value| of_step[value]).collect();
                    network.push(Node::Concat { from }, sizes[i + 1]);
                }
            }
            let last = network.values.len() - 1;
            if network.values[last].size != sizes[i + 1] {
                return Err(Error::shape(format!(
                    "the pieces of step {i} give {} numbers; it has {}",
                    network.values[last].size,
                    sizes[i + 1]
                )));
            }
            // What layers prove of themselves is the best that is known.
            network.values[last].lipschitz = network.values[last].lipschitz.min(bounds[i + 1]);
            of_step.push(last);
        }
        Ok(network)
    }

    fn push(&mut self, node: Node, size: usize) {
        let of = |value: usize| self.values[value].lipschitz;
        let lipschitz = match &node {
            Node::Input => 1.0,
            Node::Map { from, map } => mul_up(of(*from), map.copies_root()),
            Node::Kinks { from, kinks, .. } => mul_up(of(*from), kinks.scale),
            // What the step is bounded by takes its place.
            Node::Opaque { .. } | Node::Sum { .. } | Node::Concat { .. } => f64::INFINITY,
        };
        self.values.push(Value { node, size, lipschitz });
    }

    /// The maps and activations of a layer, one after another.
    fn chain(&mut self, mut from: usize, parts: Vec<Part>) -> Result<()> {
        if parts.is_empty() {
            // The same numbers.
            let size = self.values[from].size;
            let map = Map::Take { from: (0..size).map(|at| u32::try_from(at).ok()).collect(), inputs: size };
            self.push(Node::Map { from, map }, size);
            return Ok(());
        }
        for part in parts {
            let (inputs, outputs) = match &part {
                Part::Map(map) => (map.inputs(), map.outputs()),
                Part::Kinks(kinks) => (kinks.inputs, kinks.outputs()),
            };
            if inputs != self.values[from].size {
                return Err(Error::shape(format!(
                    "a piece takes {inputs} numbers and is given {}",
                    self.values[from].size
                )));
            }
            let node = match part {
                Part::Map(map) => Node::Map { from, map },
                Part::Kinks(kinks) => {
                    let steps = self.steps(from, &kinks);
                    Node::Kinks { from, kinks, steps }
                }
            };
            self.push(node, outputs);
            from = self.values.len() - 1;
        }
        Ok(())
    }

    /// At least the Lipschitz constants of the coordinates of units, by the rows of the map before.
    fn steps(&self, from: usize, kinks: &Kinks) -> Vec<f64> {
        let whole = self.values[from].lipschitz;
        let Node::Map { from: before, map } = &self.values[from].node else { return vec![whole; kinks.count()] };
        let before = self.values[*before].lipschitz;
        let mut known = std::collections::HashMap::new();
        let mut step = |j: usize| {
            let rows = match (kinks.form, kinks.unit(j)) {
                (Form::Sort, &[low, high]) => (map.row_of(high as usize)?, map.row_of(low as usize)),
                (Form::Relu | Form::MaxMin, &[at]) => (map.row_of(at as usize)?, None),
                _ => return None,
            };
            let by_rows = *known.entry(rows).or_insert_with(|| {
                let apart = map.row_norm(rows.0, rows.1);
                // Of two numbers in rotated coordinates.
                let row =
                    if rows.1.is_some() { mul_up(apart, std::f64::consts::FRAC_1_SQRT_2.next_up()) } else { apart };
                mul_up(row, before)
            });
            Some(by_rows.min(whole))
        };
        (0..kinks.count()).map(|j| step(j).unwrap_or(whole)).collect()
    }

    /// The values at an input of which the numbers are off by `error` at most, in norm. None where a number leaves the range.
    pub fn at(&self, x: &[f64], error: f64) -> Option<Point> {
        let mut point = Point { values: Vec::new(), norms: Vec::new(), errors: Vec::new(), sizes: Vec::new() };
        for value in &self.values {
            let of = |value: usize| (point.values[value].as_deref(), point.norms[value], point.errors[value]);
            let mut sizes = Vec::new();
            let (values, error) = match &value.node {
                Node::Input => (Some(x.to_vec()), error),
                Node::Opaque { .. } => (None, 0.0),
                Node::Map { from, map } => {
                    let (z, length, error) = of(*from);
                    let (size, offset) = map.size();
                    let rounded = mul_up(map.rounding(), add_up(mul_up(size, length), offset));
                    (z.map(|z| map.apply(z)), add_up(mul_up(size, error), rounded))
                }
                Node::Kinks { from, kinks, .. } => {
                    let (z, length, error) = of(*from);
                    sizes = z.map_or_else(Vec::new, |z| kinks.sizes(z));
                    (z.map(|z| kinks.apply(z)), add_up(mul_up(kinks.scale, error), mul_up(kinks.rounding(), length)))
                }
                Node::Sum { from } => {
                    let all: Option<Vec<&[f64]>> = from.iter().map(|&value| of(value).0).collect();
                    let sums = all.map(|all| (0..value.size).map(|i| all.iter().map(|z| z[i]).sum()).collect());
                    let (norms, errors) = from.iter().fold((0.0, 0.0), |(norms, errors), &value| {
                        (add_up(norms, of(value).1), add_up(errors, of(value).2))
                    });
                    (sums, add_up(errors, mul_up(mul_up(from.len() as f64, 2.0 * UNIT), norms)))
                }
                Node::Concat { from } => {
                    let all: Option<Vec<&[f64]>> = from.iter().map(|&value| of(value).0).collect();
                    let errors = from.iter().fold(0.0, |errors, &value| add_up(errors, of(value).2));
                    (all.map(|all| all.concat()), errors)
                }
            };
            // NaN and infinities, and what could become such.
            let length = values.as_deref().map_or(0.0, norm);
            if !(length < LARGEST && error < LARGEST) {
                return None;
            }
            point.values.push(values);
            point.norms.push(length);
            // Results below the range of float64's normal numbers have lost less than this.
            point.errors.push(add_up(error, f64::MIN_POSITIVE.sqrt()));
            point.sizes.push(sizes);
        }
        Some(point)
    }
}

/// Below it squares, and squares of these, stay in the range of float64.
const LARGEST: f64 = 1e60;

/// A map or an activation.
enum Part {
    Map(Map),
    Kinks(Kinks),
}

/// The maps and activations of a layer; none where it cannot be looked into.
fn nodes_of(pieces: &[Piece], numbers: &[Vec<f32>]) -> Result<Option<Vec<Part>>> {
    let mut parts = Vec::new();
    for piece in pieces {
        let Some(of_piece) = parts_of(piece, numbers)? else { return Ok(None) };
        parts.extend(of_piece);
    }
    Ok(Some(parts))
}

fn parts_of(piece: &Piece, numbers: &[Vec<f32>]) -> Result<Option<Vec<Part>>> {
    let read = |at: usize| -> Result<Vec<f64>> {
        let values = numbers.get(at).ok_or_else(|| Error::argument(format!("there are no values {at}")))?;
        Ok(values.iter().map(|&x| exact(x)).collect())
    };
    let bias = |at: Option<usize>, count: usize| -> Result<Vec<f64>> {
        let values = at.map_or_else(|| Ok(vec![0.0; count]), read)?;
        if values.len() == count {
            return Ok(values);
        }
        Err(Error::shape(format!("{} values of a bias are given for {count} channels", values.len())))
    };
    let weighs = |weight: &[f64], shape: &[usize]| match shape.iter().product::<usize>() == weight.len() {
        true => Ok(()),
        false => Err(Error::shape(format!("{} weights are given for the shape {shape:?}", weight.len()))),
    };
    Ok(Some(match piece {
        &Piece::Dense { weight, bias: at, inputs } => {
            let weight = read(weight)?;
            let outputs = weight.len() / inputs.max(1);
            weighs(&weight, &[outputs, inputs])?;
            vec![Part::Map(Map::Dense(Dense { weight, bias: bias(at, outputs)?, inputs }))]
        }
        Piece::Convolution { .. } => convolution(piece, read, bias)?,
        &Piece::Scale { factor, bias: at, places, channels } => {
            let factor = read(factor)?;
            let [factor] = factor[..] else { return Err(Error::shape("a factor is one number")) };
            vec![Part::Map(Map::Channels { scale: vec![factor; channels], offset: bias(at, channels)?, places })]
        }
        Piece::Normalize { mean, std, places, channels } => {
            let of = |values: &[f64], i: usize| values.get(i).or(values.first()).copied().unwrap_or(0.0);
            let scale: Vec<f64> = (0..*channels).map(|i| 1.0 / of(std, i)).collect();
            let offset = scale.iter().enumerate().map(|(i, s)| -of(mean, i) * s).collect();
            vec![Part::Map(Map::Channels { scale, offset, places: *places })]
        }
        &Piece::Sort { group, channels, places, scale } => {
            if group == 0 || channels % group != 0 || scale.is_nan() || scale < 0.0 {
                return Err(Error::argument(format!(
                    "channels {channels} in groups of {group} by {scale} cannot be sorted"
                )));
            }
            if group > LARGEST_GROUP || group == 1 && scale != 1.0 {
                return Ok(None);
            }
            sorts(channels, places, group, scale).into_iter().map(Part::Kinks).collect()
        }
        &Piece::Relu { inputs } => {
            vec![Part::Kinks(Kinks { form: Form::Relu, units: all(inputs), width: 1, inputs, scale: 1.0 })]
        }
        &Piece::MaxMin { inputs, scale } => {
            vec![Part::Kinks(Kinks { form: Form::MaxMin, units: all(inputs), width: 1, inputs, scale })]
        }
        &Piece::Norms { channels, image, kernel, stride, scale } => {
            if kernel.contains(&0) || (0..2).any(|axis| stride[axis] < kernel[axis]) {
                return Err(Error::argument(format!("windows {kernel:?} in steps of {stride:?} are none, or overlap")));
            }
            let (units, width) = (windows(channels, image, kernel, stride), kernel[0] * kernel[1]);
            let inputs = channels * image[0] * image[1];
            vec![Part::Kinks(Kinks { form: Form::Norm, units, width, inputs, scale })]
        }
        &Piece::Maxima { channels, image, kernel, stride } => {
            let (units, width) = (windows(channels, image, kernel, stride), kernel[0] * kernel[1]);
            if stride.contains(&0) || width == 0 {
                return Err(Error::argument(format!("windows {kernel:?} in steps of {stride:?} are none")));
            }
            if width > LARGEST_GROUP {
                return Ok(None);
            }
            let count = units.len() / width;
            // Windows as channels of one number each, of which the last is the largest once they are sorted.
            let side_by_side =
                Map::Take { from: units.into_iter().map(Some).collect(), inputs: channels * image[0] * image[1] };
            let last = (1..=count).map(|i| u32::try_from(i * width - 1).ok()).collect();
            let mut parts = vec![Part::Map(side_by_side)];
            parts.extend(sorts(count * width, 1, width, 1.0).into_iter().map(Part::Kinks));
            parts.push(Part::Map(Map::Take { from: last, inputs: count * width }));
            parts
        }
    }))
}

fn all(inputs: usize) -> Vec<u32> {
    (0..inputs).map(|at| at as u32).collect()
}

fn convolution(
    piece: &Piece,
    read: impl Fn(usize) -> Result<Vec<f64>>,
    bias: impl Fn(Option<usize>, usize) -> Result<Vec<f64>>,
) -> Result<Vec<Part>> {
    let &Piece::Convolution { weight, bias: at, shape, image, stride, dilation, padding, padding_mode, groups } = piece
    else {
        return Ok(Vec::new());
    };
    let weight = read(weight)?;
    let [outputs, per_group, kernel @ ..] = shape;
    let [top, left, bottom, right] = padding;
    let around = [image[0] + top + bottom, image[1] + left + right];
    let span = [0, 1].map(|axis: usize| dilation[axis] * kernel[axis].saturating_sub(1) + 1);
    let fits = shape.iter().product::<usize>() == weight.len()
        && [kernel, stride, dilation].iter().flatten().all(|&n| n > 0)
        && groups > 0
        && outputs % groups == 0
        && (0..2).all(|axis| around[axis] >= span[axis]);
    if !fits {
        return Err(Error::shape(format!("no convolution with {} weights: {piece:?}", weight.len())));
    }
    let inputs = per_group * groups;
    let copied = padding_mode != PaddingMode::Zeros && padding != [0; 4];
    let map = Convolution {
        weight,
        bias: bias(at, outputs)?,
        channels: [inputs, outputs],
        groups,
        kernel,
        stride,
        dilation,
        before: if copied { [0, 0] } else { [top, left] },
        image: if copied { around } else { image },
        windows: [0, 1].map(|axis| (around[axis] - span[axis]) / stride[axis] + 1),
    };
    let mut parts = Vec::new();
    if copied {
        parts.push(Part::Map(padded(inputs, image, padding, padding_mode)));
    }
    parts.push(Part::Map(Map::Convolution(map)));
    Ok(parts)
}
