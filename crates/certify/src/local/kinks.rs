//! Activations and pooling: linear but for the sizes |d| of coordinates of their input, or norms ‖d‖ of several.
//!
//! With u = (1, -1) / sqrt(2), a sort of two numbers has the sum and the size of d = u·z in rotated coordinates; relu(z) = (z + |z|) / 2; pooling
//! by norms has norms alone. All d of an activation are orthogonal coordinates of z. So a functional v of the result is a linear one
//! of z and a sum of a_j ‖d_j‖, and moves, where z moves by t, by linear·t + Σ a_j (‖d_j + t_j‖ - ‖d_j‖).
use std::f64::consts::FRAC_1_SQRT_2;

use super::vector::norm;
use crate::rounding::UNIT;

/// What an activation computes of its units, each of them `width` numbers of its input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The smaller of two numbers in the place of the first, the larger in that of the second; other numbers stay.
    Sort,
    /// max(x, 0) of every number.
    Relu,
    /// max(x, 0) of every number, then max(-x, 0).
    MaxMin,
    /// The norms of the units.
    Norm,
}

/// Activations of more units are not looked at one by one.
const MOST_PROBED: usize = 128;

/// An activation.
pub(super) struct Kinks {
    pub form: Form,
    /// Places of the numbers of each unit; no number is in two.
    pub units: Vec<u32>,
    pub width: usize,
    pub inputs: usize,
    /// By which results are multiplied; not negative.
    pub scale: f64,
}

/// A functional of the result: a coefficient for each number of z, and for each unit.
pub(super) struct Parts {
    /// Of the input, without the units' sizes.
    pub linear: Vec<f64>,
    /// a_j.
    pub sizes: Vec<f64>,
}

impl Kinks {
    pub fn count(&self) -> usize {
        self.units.len() / self.width
    }

    pub fn outputs(&self) -> usize {
        match self.form {
            Form::Sort | Form::Relu => self.inputs,
            Form::MaxMin => 2 * self.inputs,
            Form::Norm => self.count(),
        }
    }

    pub fn unit(&self, j: usize) -> &[u32] {
        &self.units[j * self.width..][..self.width]
    }

    /// Whether units have one coordinate, so that there is a side on which it is.
    pub fn is_scalar(&self) -> bool {
        self.form != Form::Norm || self.width == 1
    }

    /// Of each unit its coordinate d with its sign, or the norm of several.
    pub fn sizes(&self, z: &[f64]) -> Vec<f64> {
        (0..self.count()).map(|j| self.size(z, j)).collect()
    }

    fn size(&self, z: &[f64], j: usize) -> f64 {
        match (self.form, self.unit(j)) {
            (Form::Sort, &[low, high]) => (z[high as usize] - z[low as usize]) * FRAC_1_SQRT_2,
            (_, &[at]) => z[at as usize],
            (_, unit) => {
                let squares: f64 = unit.iter().map(|&at| z[at as usize] * z[at as usize]).sum();
                // A sum that may have lost squares below the range is formed again.
                if squares > 1e-200 && squares.is_finite() {
                    return squares.sqrt();
                }
                norm(&unit.iter().map(|&at| z[at as usize]).collect::<Vec<_>>())
            }
        }
    }

    /// Whether units are looked at one by one: they have one coordinate, and are not many.
    pub fn is_few(&self) -> bool {
        self.is_scalar() && self.count() <= MOST_PROBED
    }

    pub fn apply(&self, z: &[f64]) -> Vec<f64> {
        let scale = self.scale;
        match self.form {
            Form::Sort => {
                let mut out = z.to_vec();
                for pair in self.units.chunks_exact(2) {
                    let (low, high) = (pair[0] as usize, pair[1] as usize);
                    if out[low] > out[high] {
                        out.swap(low, high);
                    }
                }
                out.iter_mut().for_each(|x| *x *= scale);
                out
            }
            Form::Relu => z.iter().map(|x| scale * x.max(0.0)).collect(),
            Form::MaxMin => {
                let (plus, minus) = (z.iter().map(|x| scale * x.max(0.0)), z.iter().map(|x| scale * (-x).max(0.0)));
                plus.chain(minus).collect()
            }
            Form::Norm => (0..self.count()).map(|j| scale * self.size(z, j).abs()).collect(),
        }
    }

    /// At least what [`Kinks::apply`], [`Kinks::sizes`] or a functional may be off by, relative to the norms that go in.
    pub fn rounding(&self) -> f64 {
        (self.width as f64 + 32.0) * UNIT * self.scale.max(1.0)
    }

    pub fn parts(&self, v: &[f64]) -> Parts {
        let scale = self.scale;
        match self.form {
            Form::Sort => {
                let mut linear: Vec<f64> = v.iter().map(|v| v * scale).collect();
                let mut sizes = Vec::with_capacity(self.count());
                for pair in self.units.chunks_exact(2) {
                    let (low, high) = (pair[0] as usize, pair[1] as usize);
                    let (of_low, of_high) = (linear[low], linear[high]);
                    sizes.push((of_high - of_low) * FRAC_1_SQRT_2);
                    let mean = 0.5 * (of_low + of_high);
                    (linear[low], linear[high]) = (mean, mean);
                }
                Parts { linear, sizes }
            }
            Form::Relu => {
                let half: Vec<f64> = v.iter().map(|v| 0.5 * scale * v).collect();
                Parts { linear: half.clone(), sizes: half }
            }
            Form::MaxMin => {
                let (plus, minus) = v.split_at(self.inputs);
                let both = |of: fn(f64, f64) -> f64| -> Vec<f64> {
                    plus.iter().zip(minus).map(|(&p, &m)| 0.5 * scale * of(p, m)).collect()
                };
                Parts { linear: both(|p, m| p - m), sizes: both(|p, m| p + m) }
            }
            Form::Norm => Parts { linear: vec![0.0; self.inputs], sizes: v.iter().map(|v| v * scale).collect() },
        }
    }

    /// The functional with slope_j times the derivative of ‖d_j‖ at z, whose sizes are given, in the place of ‖d_j‖.
    pub fn join(&self, parts: &Parts, z: &[f64], sizes: &[f64], slope: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut linear = parts.linear.clone();
        for (j, &size) in sizes.iter().enumerate() {
            let along = parts.sizes[j] * slope(j);
            if along == 0.0 || size == 0.0 {
                continue;
            }
            match (self.form, self.unit(j)) {
                (Form::Sort, &[low, high]) => {
                    let share = along * FRAC_1_SQRT_2 * size.signum();
                    linear[low as usize] -= share;
                    linear[high as usize] += share;
                }
                (_, &[at]) => linear[at as usize] += along * size.signum(),
                (_, unit) => unit.iter().for_each(|&at| linear[at as usize] += along * (z[at as usize] / size)),
            }
        }
        linear
    }

    /// The coefficient of the one coordinate of a unit in a linear functional of z: 0 but where the activation is no sort.
    pub fn beside(&self, linear: &[f64], j: usize) -> f64 {
        match (self.form, self.unit(j)) {
            (Form::Relu | Form::MaxMin, &[at]) => linear[at as usize],
            _ => 0.0,
        }
    }

    /// The functional of z that is a unit's coordinate d.
    pub fn coordinate(&self, j: usize) -> Vec<f64> {
        let mut v = vec![0.0; self.inputs];
        match (self.form, self.unit(j)) {
            (Form::Sort, &[low, high]) => {
                v[low as usize] = -FRAC_1_SQRT_2;
                v[high as usize] = FRAC_1_SQRT_2;
            }
            (_, unit) => unit.iter().for_each(|&at| v[at as usize] = 1.0),
        }
        v
    }
}

/// Rounds in which neighbours are sorted until a group of `size` is: odd-even transposition (Knuth 1998, 5.3.4, exercise 37).
fn rounds_of(size: usize) -> usize {
    if size <= 2 { size.saturating_sub(1) } else { size }
}

/// The sorts of pairs that together sort groups of consecutive channels of `places` numbers each.
pub(super) fn sorts(channels: usize, places: usize, group: usize, scale: f64) -> Vec<Kinks> {
    let rounds = rounds_of(group);
    (0..rounds)
        .map(|round| {
            let mut units = Vec::new();
            for first in (0..channels).step_by(group.max(1)) {
                for low in (first + round % 2..first + group - 1).step_by(2) {
                    for place in 0..places {
                        units.extend([low, low + 1].map(|channel| (channel * places + place) as u32));
                    }
                }
            }
            let scale = if round + 1 == rounds { scale } else { 1.0 };
            Kinks { form: Form::Sort, units, width: 2, inputs: channels * places, scale }
        })
        .collect()
}

/// The places of windows that do not overlap over images, window after window.
pub(super) fn windows(
    channels: usize,
    [height, width]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
) -> Vec<u32> {
    let along = |size: usize, axis: usize| size.checked_sub(kernel[axis]).map_or(0, |room| room / stride[axis] + 1);
    let mut places = Vec::new();
    for channel in 0..channels {
        for top in (0..along(height, 0)).map(|y| y * stride[0]) {
            for left in (0..along(width, 1)).map(|x| x * stride[1]) {
                for y in top..top + kernel[0] {
                    places.extend((left..left + kernel[1]).map(|x| ((channel * height + y) * width + x) as u32));
                }
            }
        }
    }
    places
}
