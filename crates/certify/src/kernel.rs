//! The kernel of one group of a convolution, and the products of its taps with one another.
use crate::gram::{Gram, gram};
use crate::norm::{exact, scale_of};

/// Of which side of a convolution A a Gram matrix is formed: AᵀA and A Aᵀ have the same largest eigenvalue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// AᵀA, of pixels and channels that go in.
    Inputs,
    /// A Aᵀ, of windows and channels that come out.
    Outputs,
}

/// Weights `[outputs, inputs, taps]`, not all zero, and the power of two by which they are divided to be below 1.
pub(crate) struct Kernel<'a> {
    pub weight: &'a [f32],
    pub outputs: usize,
    pub inputs: usize,
    pub taps: [usize; 2],
    pub scale: f64,
}

impl<'a> Kernel<'a> {
    /// None where all weights are zero.
    pub fn of(weight: &'a [f32], outputs: usize, inputs: usize, taps: [usize; 2]) -> Option<Self> {
        let scale = scale_of(weight);
        (scale > 0.0).then_some(Kernel { weight, outputs, inputs, taps, scale })
    }

    /// Taps of both axes.
    pub fn all_taps(&self) -> usize {
        self.taps[0] * self.taps[1]
    }

    pub fn channels(&self, side: Side) -> usize {
        match side {
            Side::Inputs => self.inputs,
            Side::Outputs => self.outputs,
        }
    }

    /// The weights of the first `outputs` and `inputs` channels.
    pub fn first(&self, outputs: usize, inputs: usize) -> Vec<f32> {
        let taps = self.all_taps();
        let rows = self.weight.chunks_exact(self.inputs * taps).take(outputs);
        rows.flat_map(|row| &row[..inputs * taps]).copied().collect()
    }

    /// Operations that [`Kernel::products`] takes.
    pub fn cost(&self, side: Side) -> f64 {
        let rows = self.channels(side) as f64 * self.all_taps() as f64;
        rows * rows * (self.weight.len() as f64 / rows)
    }

    /// The Gram matrix G whose entry at (t c + a, t' c + b), c being the channels of the side, is the product of what channels a and
    /// b have in taps t and t' of the scaled kernel, summed over the channels of the other side.
    pub fn products(&self, side: Side) -> Gram {
        let &Kernel { weight, outputs, inputs, scale, .. } = self;
        let taps = self.all_taps();
        let entry =
            |output: usize, input: usize, tap: usize| exact(weight[(output * inputs + input) * taps + tap]) / scale;
        match side {
            Side::Inputs => gram(taps * inputs, outputs, |row, k| entry(k, row % inputs, row / inputs)),
            Side::Outputs => gram(taps * outputs, inputs, |row, k| entry(row % outputs, k, row / outputs)),
        }
    }
}
