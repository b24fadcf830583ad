//! A convolution on images of one size as one matrix, borders and all: the banded Gram matrix of a side of it.
use crate::axis::Axis;
use crate::gram::{Bound, Gram};
use crate::kernel::{Kernel, Side};
use crate::outward::{UNIT, add, gamma, mul};
use crate::symmetric::Symmetric;
use crate::work::{Stopped, Work};

/// Along one axis: which taps meet. Of AᵀA that is at a window, whose taps read pixels; of A Aᵀ at a pixel, which taps of windows read.
struct Meetings {
    /// Pixels of AᵀA, windows of A Aᵀ.
    indices: usize,
    /// Of each place taps with indices.
    places: Vec<Vec<(usize, usize)>>,
    /// The most indices, itself included, that an index meets at the same tap of a place, over all taps and places.
    load: usize,
    /// The largest difference of two indices that meet.
    reach: usize,
}

impl Meetings {
    fn of(axis: &Axis, side: Side) -> Self {
        let windows = axis.windows();
        let (places, indices) = if side == Side::Inputs { (windows, axis.size) } else { (axis.size, windows) };
        let mut at = vec![Vec::new(); places];
        for tap in 0..axis.taps {
            for window in 0..windows {
                match (axis.pixel(window, tap), side) {
                    (Some(pixel), Side::Inputs) => at[window].push((tap, pixel)),
                    (Some(pixel), Side::Outputs) => at[pixel].push((tap, window)),
                    (None, _) => {}
                }
            }
        }
        let mut loads = vec![0; indices];
        for place in &at {
            // Taps came in their order.
            for same in place.chunk_by(|a, b| a.0 == b.0) {
                same.iter().for_each(|&(_, index)| loads[index] += same.len());
            }
        }
        let load = loads.into_iter().max().unwrap_or(0);
        let plain = Meetings { indices, reach: reach(&at), places: at, load };
        // Where both ends of an axis meet, as in a circle, indices are nearer to one another in the order 0, n - 1, 1, n - 2 ...
        let folded = |i: usize| if i < indices.div_ceil(2) { 2 * i } else { 2 * (indices - 1 - i) + 1 };
        let other: Vec<Vec<_>> =
            plain.places.iter().map(|place| place.iter().map(|&(tap, i)| (tap, folded(i))).collect()).collect();
        let nearer = reach(&other);
        if nearer < plain.reach { Meetings { reach: nearer, places: other, ..plain } } else { plain }
    }

    /// Pairs of taps that meet.
    fn pairs(&self) -> f64 {
        self.places.iter().map(|place| (place.len() as f64).powi(2)).sum()
    }
}

fn reach(places: &[Vec<(usize, usize)>]) -> usize {
    let width = |place: &Vec<(usize, usize)>| {
        let indices = || place.iter().map(|&(_, index)| index);
        indices().max().unwrap_or(0) - indices().min().unwrap_or(0)
    };
    places.iter().map(width).max().unwrap_or(0)
}

/// A side of a convolution, and an order of its numbers.
pub(crate) struct Operator<'a> {
    kernel: &'a Kernel<'a>,
    side: Side,
    meetings: [Meetings; 2],
    /// The axis whose indices are those of the outer loop.
    slow: usize,
}

impl<'a> Operator<'a> {
    pub fn cheapest(kernel: &'a Kernel<'a>, axes: &[Axis; 2]) -> Self {
        let of = |side: Side, slow: usize| Operator {
            kernel,
            side,
            meetings: [Meetings::of(&axes[0], side), Meetings::of(&axes[1], side)],
            slow,
        };
        let all = [(Side::Inputs, 0), (Side::Inputs, 1), (Side::Outputs, 0)].map(|(side, slow)| of(side, slow));
        let last = of(Side::Outputs, 1);
        all.into_iter().fold(last, |best, one| if one.expense().0 < best.expense().0 { one } else { best })
    }

    fn order(&self) -> usize {
        self.meetings[0].indices * self.meetings[1].indices * self.kernel.channels(self.side)
    }

    fn width(&self) -> usize {
        let [outer, inner] = [&self.meetings[self.slow], &self.meetings[1 - self.slow]];
        (outer.reach * inner.indices + inner.reach + 1) * self.kernel.channels(self.side)
    }

    /// Operations, those of a factorization among them, and numbers.
    pub fn expense(&self) -> (f64, f64) {
        let channels = self.kernel.channels(self.side) as f64;
        let pairs = self.meetings[0].pairs() * self.meetings[1].pairs();
        let (order, width) = (self.order(), self.width().min(self.order()));
        let cost = Symmetric::cost(order, width) + pairs * channels * channels + self.kernel.cost(self.side);
        (cost, order as f64 * width as f64)
    }

    /// The Gram matrix of the side.
    ///
    /// Proof. AᵀA = Σ_s S_sᵀ G S_s: at the window s the matrix S_s of zeros and ones gives each tap the pixel that it reads, and G are the
    /// products of the taps. Of A Aᵀ s is a pixel and S_s gives each tap the sum over the windows in which it reads s. For any E
    /// ‖Σ S_sᵀ E S_s‖ <= ‖E‖ ‖Σ S_sᵀ S_s‖, of which the last is at most the largest sum of a row of that nonnegative matrix, `load`,
    /// a product over the axes. That bounds what the error of Ĝ does. Adding up T numbers for an entry is off by gamma_T of the sum of
    /// their magnitudes at most, and so the matrix by gamma_T load ‖Ĝ‖_F, and ‖Ĝ‖_F <= ‖K‖_F² + ‖Ĝ - G‖; T is at most load taps.
    pub fn bound(&self, work: &Work) -> Result<Bound, Stopped> {
        let &Operator { kernel, side, slow, .. } = self;
        let channels = kernel.channels(side);
        let Gram { matrix: mut products, error, frobenius } = kernel.products(side, work)?;
        let [outer, inner] = [&self.meetings[slow], &self.meetings[1 - slow]];
        let tap = |o: usize, i: usize| if slow == 0 { o * kernel.taps[1] + i } else { i * kernel.taps[1] + o };
        let mut matrix = Symmetric::zeros(self.order(), self.width());
        for outers in &outer.places {
            for inners in &inner.places {
                let all = outers.iter().flat_map(|o| inners.iter().map(move |i| (o, i)));
                let met: Vec<(usize, usize)> =
                    all.map(|(o, i)| (tap(o.0, i.0) * channels, (o.1 * inner.indices + i.1) * channels)).collect();
                for &(p, i) in &met {
                    for &(q, j) in met.iter().filter(|(_, j)| *j >= i) {
                        for a in 0..channels {
                            for b in (if i == j { a } else { 0 })..channels {
                                let (row, column) = ((p + a).min(q + b), (p + a).max(q + b));
                                *matrix.at(i + a, j + b) += *products.at(row, column);
                            }
                        }
                    }
                }
                work.did((met.len() * met.len() * channels * channels) as f64)?;
            }
        }
        let load = outer.load * inner.load;
        let summed = mul(gamma(load * kernel.all_taps(), UNIT), add(frobenius, error));
        Ok(Bound { matrix, error: mul(load as f64, add(error, summed)), factor: 1.0 })
    }
}
