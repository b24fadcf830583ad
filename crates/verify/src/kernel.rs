//! The kernel of a group of a convolution, and the products of its taps with one another.
use crate::gram::{Gram, gram};
use crate::work::{Stopped, Work};

/// The kernel of one group, `[outputs, inputs, taps]`.
pub(crate) struct Kernel<'a> {
    pub weight: &'a [f32],
    pub outputs: usize,
    pub inputs: usize,
    pub taps: [usize; 2],
}

/// Of which side of A a Gram matrix is formed: AᵀA and A Aᵀ have the same largest eigenvalue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// AᵀA, of the channels that go in.
    Inputs,
    /// A Aᵀ, of the channels that come out.
    Outputs,
}

impl Kernel<'_> {
    pub fn all_taps(&self) -> usize {
        self.taps[0] * self.taps[1]
    }

    pub fn channels(&self, side: Side) -> usize {
        match side {
            Side::Inputs => self.inputs,
            Side::Outputs => self.outputs,
        }
    }

    /// Operations of [`Kernel::products`].
    pub fn cost(&self, side: Side) -> f64 {
        self.weight.len() as f64 * self.channels(side) as f64 * self.all_taps() as f64 / 2.0
    }

    /// The products of taps with one another, summed over the channels of the other side: at (t c + a, u c + b) those of channel a in tap t and
    /// channel b in tap u, c being the channels of the side.
    pub fn products(&self, side: Side, work: &Work) -> Result<Gram, Stopped> {
        let taps = self.all_taps();
        let at = |o: usize, i: usize, t: usize| self.weight[(o * self.inputs + i) * taps + t];
        match side {
            Side::Inputs => {
                gram(taps * self.inputs, self.outputs, |row, k| at(k, row % self.inputs, row / self.inputs), work)
            }
            Side::Outputs => {
                gram(taps * self.outputs, self.inputs, |row, k| at(row % self.outputs, k, row / self.outputs), work)
            }
        }
    }
}
