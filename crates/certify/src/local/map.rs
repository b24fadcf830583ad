//! Affine maps of a network in float64: values, and linear functionals pulled back through them.
use crate::axis::{PaddingMode, source};
use crate::rounding::{UNIT, gamma, mul_up, sqrt_up};

use super::vector::norm;

/// y = A x + b.
pub(super) enum Map {
    Dense(Dense),
    Convolution(Convolution),
    /// A number for each of the channels, `places` numbers each.
    Channels {
        scale: Vec<f64>,
        offset: Vec<f64>,
        places: usize,
    },
    /// Numbers of x at these places, none of it for `None`.
    Take {
        from: Vec<Option<u32>>,
        inputs: usize,
    },
}

/// A matrix `[outputs, inputs]`.
pub(super) struct Dense {
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
    pub inputs: usize,
}

/// Windows over images that hold their own padding.
pub(super) struct Convolution {
    /// `[outputs, inputs / groups, taps]`.
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
    pub channels: [usize; 2],
    pub groups: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Zeros before the first row and column.
    pub before: [usize; 2],
    pub image: [usize; 2],
    pub windows: [usize; 2],
}

impl Map {
    pub fn inputs(&self) -> usize {
        match self {
            Map::Dense(dense) => dense.inputs,
            Map::Convolution(c) => c.channels[0] * c.image[0] * c.image[1],
            Map::Channels { scale, places, .. } => scale.len() * places,
            Map::Take { inputs, .. } => *inputs,
        }
    }

    pub fn outputs(&self) -> usize {
        match self {
            Map::Dense(dense) => dense.bias.len(),
            Map::Convolution(c) => c.channels[1] * c.windows[0] * c.windows[1],
            Map::Channels { scale, places, .. } => scale.len() * places,
            Map::Take { from, .. } => from.len(),
        }
    }

    /// At least the norm of the matrix of absolute values |A|, and ‖b‖.
    pub fn size(&self) -> (f64, f64) {
        match self {
            Map::Dense(dense) => (norm(&dense.weight), norm(&dense.bias)),
            Map::Convolution(c) => {
                // ‖|K| patch‖ <= ‖K‖_F ‖patch‖, and a pixel is in no more patches than there are taps.
                let taps = sqrt_up((c.kernel[0] * c.kernel[1]) as f64);
                let places = sqrt_up((c.windows[0] * c.windows[1]) as f64);
                (mul_up(taps, norm(&c.weight)), mul_up(places, norm(&c.bias)))
            }
            Map::Channels { scale, offset, places } => {
                let largest = scale.iter().fold(0.0_f64, |most, s| most.max(s.abs()));
                (largest.next_up(), mul_up(sqrt_up(*places as f64), norm(offset)))
            }
            Map::Take { .. } => (self.copies_root(), 0.0),
        }
    }

    /// At least the norm of the map, as far as it is known without proof from its weights.
    pub fn copies_root(&self) -> f64 {
        match self {
            Map::Take { from, inputs } => {
                let mut counts = vec![0_usize; *inputs];
                from.iter().flatten().for_each(|&at| counts[at as usize] += 1);
                sqrt_up(counts.into_iter().max().unwrap_or(0) as f64)
            }
            _ => self.size().0,
        }
    }

    /// At least the roundings of a sum, forwards and backwards, over u: results are off by that times ‖|A|‖ ‖x‖ + ‖b‖ in the norm
    /// (Higham 2002, (3.5)); scales and offsets of channels are off by a rounding themselves.
    pub fn rounding(&self) -> f64 {
        gamma(
            4 + match self {
                Map::Dense(dense) => dense.inputs.max(dense.bias.len()),
                Map::Convolution(c) => c.channels[0].max(c.channels[1]) / c.groups * c.kernel[0] * c.kernel[1],
                Map::Channels { .. } => 0,
                Map::Take { from, .. } => from.len(),
            },
        )
    }

    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Map::Dense(dense) => {
                let rows = dense.weight.chunks_exact(dense.inputs.max(1));
                rows.zip(&dense.bias).map(|(row, b)| crate::product::dot(row, x) + b).collect()
            }
            Map::Convolution(c) => c.apply(x),
            Map::Channels { scale, offset, places } => {
                x.iter().enumerate().map(|(i, x)| x * scale[i / places] + offset[i / places]).collect()
            }
            Map::Take { from, .. } => from.iter().map(|at| at.map_or(0.0, |at| x[at as usize])).collect(),
        }
    }

    /// vᵀ A.
    pub fn pull(&self, v: &[f64]) -> Vec<f64> {
        match self {
            Map::Dense(dense) => {
                let mut out = vec![0.0; dense.inputs];
                for (row, &v) in dense.weight.chunks_exact(dense.inputs.max(1)).zip(v).filter(|(_, v)| **v != 0.0) {
                    out.iter_mut().zip(row).for_each(|(out, w)| *out += v * w);
                }
                out
            }
            Map::Convolution(c) => c.pull(v),
            Map::Channels { scale, places, .. } => v.iter().enumerate().map(|(i, v)| v * scale[i / places]).collect(),
            Map::Take { from, inputs } => {
                let mut out = vec![0.0; *inputs];
                from.iter().zip(v).for_each(|(at, v)| at.iter().for_each(|&at| out[at as usize] += v));
                out
            }
        }
    }

    /// The row of the weight by which a result is computed, whichever place it is at; none where there are no such rows.
    pub fn row_of(&self, output: usize) -> Option<usize> {
        match self {
            Map::Dense(_) => Some(output),
            Map::Convolution(c) => Some(output / (c.windows[0] * c.windows[1])),
            Map::Channels { .. } | Map::Take { .. } => None,
        }
    }

    /// At least the norm of a row, or of the difference of two, as a functional of x.
    pub fn row_norm(&self, row: usize, less: Option<usize>) -> f64 {
        let (weight, width, group) = match self {
            Map::Dense(dense) => (&dense.weight, dense.inputs, usize::MAX),
            Map::Convolution(c) => (&c.weight, c.weight.len() / c.channels[1].max(1), c.channels[1] / c.groups),
            Map::Channels { .. } | Map::Take { .. } => return f64::INFINITY,
        };
        let of = |row: usize| &weight[row * width..][..width];
        match less {
            None => norm(of(row)),
            // Of two groups the rows read other channels.
            Some(other) if other / group != row / group => sqrt_up(
                mul_up(norm(of(row)), norm(of(row))).next_up() + mul_up(norm(of(other)), norm(of(other))).next_up(),
            )
            .next_up(),
            Some(other) => {
                let apart: Vec<f64> = of(row).iter().zip(of(other)).map(|(a, b)| a - b).collect();
                // Differences round once each.
                mul_up(norm(&apart), 1.0 + 4.0 * UNIT)
            }
        }
    }
}

impl Convolution {
    /// For each tap and pair of channels of a group: the weight, and the rows of the image and of the result that it joins.
    fn each_row(&self, mut join: impl FnMut(f64, usize, usize, usize, [usize; 2])) {
        let &Convolution {
            channels: [inputs, outputs], groups, kernel, stride, dilation, before, image, windows, ..
        } = self;
        let (ins, outs) = (inputs / groups, outputs / groups);
        let mut weights = self.weight.iter();
        for output in 0..outputs {
            for channel in 0..ins {
                let input = output / outs * ins + channel;
                for down in 0..kernel[0] {
                    for across in 0..kernel[1] {
                        let Some(&weight) = weights.next() else { return };
                        let shift = [down * dilation[0], across * dilation[1]];
                        // Windows whose tap lies in the image, along the columns.
                        let columns = inside(shift[1], before[1], stride[1], image[1], windows[1]);
                        for y in inside(shift[0], before[0], stride[0], image[0], windows[0]) {
                            let row = y * stride[0] + shift[0] - before[0];
                            let from = (input * image[0] + row) * image[1];
                            let to = (output * windows[0] + y) * windows[1];
                            if columns.start < columns.end {
                                let first = columns.start * stride[1] + shift[1] - before[1];
                                join(weight, from + first, to + columns.start, columns.end - columns.start, stride);
                            }
                        }
                    }
                }
            }
        }
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let places = self.windows[0] * self.windows[1];
        let mut out: Vec<f64> = self.bias.iter().flat_map(|&b| std::iter::repeat_n(b, places)).collect();
        self.each_row(|weight, from, to, count, [_, step]| {
            let to = &mut out[to..to + count];
            if step == 1 {
                to.iter_mut().zip(&x[from..from + count]).for_each(|(y, x)| *y += weight * x);
            } else {
                to.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(y, x)| *y += weight * x);
            }
        });
        out
    }

    fn pull(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.channels[0] * self.image[0] * self.image[1]];
        self.each_row(|weight, from, to, count, [_, step]| {
            let v = &v[to..to + count];
            if step == 1 {
                out[from..from + count].iter_mut().zip(v).for_each(|(x, v)| *x += weight * v);
            } else {
                out[from..].iter_mut().step_by(step).zip(v).for_each(|(x, v)| *x += weight * v);
            }
        });
        out
    }
}

/// The windows along an axis of which the tap at `shift` lies in the image.
fn inside(shift: usize, before: usize, stride: usize, image: usize, windows: usize) -> std::ops::Range<usize> {
    let first = before.saturating_sub(shift).div_ceil(stride);
    // y stride + shift - before < image
    let end = (image + before).saturating_sub(shift).div_ceil(stride);
    first..end.min(windows).max(first)
}

/// The pixels of images `[channels, height, width]` with padding in a mode that copies: `[top, left, bottom, right]`.
pub(super) fn padded(channels: usize, [height, width]: [usize; 2], padding: [usize; 4], mode: PaddingMode) -> Map {
    let along = |size: usize, before: usize, after: usize| -> Vec<Option<usize>> {
        let places = 0..before + size + after;
        places.map(|at| source(at as isize - before as isize, size as isize, mode).map(|at| at as usize)).collect()
    };
    let (rows, columns) = (along(height, padding[0], padding[2]), along(width, padding[1], padding[3]));
    let mut from = Vec::with_capacity(channels * rows.len() * columns.len());
    for channel in 0..channels {
        for row in &rows {
            from.extend(columns.iter().map(|column| {
                let (row, column) = ((*row)?, (*column)?);
                u32::try_from((channel * height + row) * width + column).ok()
            }));
        }
    }
    Map::Take { from, inputs: channels * height * width }
}
