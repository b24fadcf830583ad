//! A convolution as a part of a circular one: the symbols of its Gram matrix by Fourier transform, or what bounds all of them at once.
use crate::axis::{Axis, Mode};
use crate::gram::{Bound, Gram};
use crate::kernel::{Kernel, Side};
use crate::outward::{UNIT, add, gamma, mul};
use crate::symmetric::Symmetric;
use crate::work::{Stopped, Work};

/// At least what a cosine or sine is off by as [`cosine_and_sine`] computes it: its argument, below 1, is within 4 units in the last place, and
/// Horner's scheme of ten terms below 1.4 in all rounds by at most 30 more.
const TRIGONOMETRIC_ERROR: f64 = 1e-14;

/// One axis of a torus, as windows see it.
#[derive(Clone, Copy, Debug)]
struct Circle {
    taps: usize,
    stride: usize,
    dilation: usize,
    /// Windows all around, which are as many frequencies.
    frequencies: usize,
    /// At least the squared norm of what makes the circular convolution of the one that is bounded.
    copies: usize,
    /// Whether it has just the norm of the torus.
    exact: bool,
}

impl Circle {
    /// A window of a circle of N pixels, N a multiple of the stride, is a window of the axis if windows of the axis are at different places
    /// modulo N and if what it reads beyond the image is zero: with zeros, where N >= size + padding on either side. A circular axis
    /// is such a circle where the stride divides its size, but for windows that recur. In other modes the axis is the convolution, without padding,
    /// of the padded image, behind the map that copies pixels, whose squared norm is the most places that show one pixel.
    fn of(axis: &Axis) -> Self {
        let Axis { taps, stride, dilation, before, after, mode, size } = *axis;
        let windows = axis.windows();
        let (pixels, copies, exact) = match mode {
            Mode::Zeros => ((size + before.max(after)).max((windows - 1) * stride + 1), 1, false),
            Mode::Circular if size % stride == 0 => {
                let around = size / stride;
                (size, windows.div_ceil(around), windows.is_multiple_of(around))
            }
            _ => (axis.padded(), axis.shown(), false),
        };
        Circle { taps, stride, dilation, frequencies: pixels.div_ceil(stride), copies, exact }
    }

    /// How many strides apart two taps must be for windows to read the same pixel with them, if there is such a distance.
    fn lag(&self, t: usize, u: usize) -> Option<isize> {
        let apart = t as isize * self.dilation as isize - u as isize * self.dilation as isize;
        let stride = self.stride as isize;
        (apart % stride == 0).then_some(apart / stride)
    }

    /// The largest of these.
    fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation / self.stride
    }
}

/// A side of a circular convolution.
pub(crate) struct Plan<'a> {
    kernel: &'a Kernel<'a>,
    side: Side,
    circles: [Circle; 2],
}

/// The symbols Σ C_δ e^(iδθ) of the Gram matrix of a circular convolution A, at all frequencies θ; ‖A‖² is their largest eigenvalue.
pub(crate) struct Torus {
    order: usize,
    frequencies: [usize; 2],
    /// Distances of windows with their matrices C_δ.
    lags: Vec<([isize; 2], Vec<f64>)>,
    error: f64,
    factor: f64,
}

impl Torus {
    /// Whether the circular convolution is the one that is bounded, or has its norm.
    pub fn is_exact(axes: &[Axis; 2]) -> bool {
        axes.iter().all(|axis| Circle::of(axis).exact)
    }

    /// The sides of the circular convolution, the cheaper one first. Channels that go in make a symbol where the stride is 1: else there are as many
    /// again for each pixel of it.
    pub fn plans<'a>(kernel: &'a Kernel<'a>, axes: &[Axis; 2]) -> Vec<Plan<'a>> {
        let circles = [Circle::of(&axes[0]), Circle::of(&axes[1])];
        let plan = |side| Plan { kernel, side, circles };
        match circles.iter().all(|circle| circle.stride == 1) {
            true if kernel.inputs < kernel.outputs => vec![plan(Side::Inputs), plan(Side::Outputs)],
            true => vec![plan(Side::Outputs), plan(Side::Inputs)],
            false => vec![plan(Side::Outputs)],
        }
    }

    /// Calls back with all symbols, until one is found not to be as it should.
    fn each(&self, mut symbol: impl FnMut(Symmetric) -> Result<bool, Stopped>) -> Result<bool, Stopped> {
        let [rows, columns] = self.frequencies;
        for f in 0..=rows / 2 {
            // The symbol at -θ is the conjugate of that at θ.
            let last = if 2 * f % rows == 0 { columns / 2 + 1 } else { columns };
            for g in 0..last {
                if !symbol(self.symbol([f, g]))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    pub fn is_below(&self, limit: f64, work: &Work) -> Result<bool, Stopped> {
        self.each(|matrix| {
            work.did(self.symbol_cost())?;
            Bound { matrix, error: self.error, factor: self.factor }.is_below(limit, work)
        })
    }

    pub fn estimate(&self, work: &Work) -> Result<f64, Stopped> {
        let mut estimate = 0.0_f64;
        self.each(|symbol| {
            work.did(self.symbol_cost())?;
            // Most are known to be smaller at the cost of a factorization.
            if estimate == 0.0 || !symbol.is_below(estimate, work)? {
                estimate = estimate.max(symbol.estimate(work)?);
            }
            Ok(true)
        })?;
        Ok(mul(add(estimate, self.error), self.factor))
    }

    fn symbol_cost(&self) -> f64 {
        4.0 * (self.order * self.order * self.lags.len()) as f64
    }

    /// The symbol X + iY at a frequency, Hermitian, as the symmetric matrix [[X, -Y], [Y, X]], which has its eigenvalues.
    fn symbol(&self, at: [usize; 2]) -> Symmetric {
        let order = self.order;
        let (mut re, mut im) = (vec![0.0; order * order], vec![0.0; order * order]);
        for (lag, matrix) in &self.lags {
            let phase = |axis: usize| {
                let n = self.frequencies[axis];
                cosine_and_sine((at[axis] as isize * lag[axis]).rem_euclid(n as isize) as usize, n)
            };
            let ((a, b), (c, d)) = (phase(0), phase(1));
            let (cosine, sine) = (a * c - b * d, a * d + b * c);
            for ((re, im), x) in re.iter_mut().zip(&mut im).zip(matrix) {
                *re += cosine * x;
                *im += sine * x;
            }
        }
        let mut symbol = Symmetric::zeros(2 * order, 2 * order);
        for i in 0..order {
            for j in i..order {
                let (x, y) = (re[i * order + j], if i == j { 0.0 } else { im[i * order + j] });
                *symbol.at(i, j) = x;
                *symbol.at(order + i, order + j) = x;
                *symbol.at(i, order + j) = -y;
                *symbol.at(j, order + i) = y;
            }
        }
        symbol
    }
}

impl Plan<'_> {
    fn order(&self) -> usize {
        self.kernel.channels(self.side)
    }

    fn factor(&self) -> f64 {
        self.circles.iter().map(|circle| circle.copies as f64).product()
    }

    fn lags(&self) -> f64 {
        self.circles.iter().map(|circle| (2 * circle.reach() + 1) as f64).product()
    }

    fn numbers(&self) -> f64 {
        let rows = self.order() as f64 * self.kernel.all_taps() as f64;
        rows * rows + self.lags() * (self.order() as f64).powi(2)
    }

    /// Operations of a proof for all frequencies, and numbers.
    pub fn expense(&self) -> (f64, f64) {
        let order = self.order();
        let frequencies = self.circles.iter().map(|circle| circle.frequencies as f64).product::<f64>() / 2.0;
        let each = 4.0 * (order as f64).powi(2) * self.lags() + Symmetric::cost(2 * order, 2 * order);
        (self.kernel.cost(self.side) + frequencies * each, self.numbers())
    }

    /// Operations of a proof by correlations, and numbers.
    pub fn correlations_expense(&self) -> (f64, f64) {
        (self.kernel.cost(self.side) + Symmetric::cost(self.order(), self.order()), self.numbers())
    }

    /// The matrices C_δ, and at least what a symbol is off by in norm.
    ///
    /// Proof. On a torus the Gram matrix is block diagonal in the Fourier basis, with the symbol S(θ) = Z(θ)* G Z(θ) at each frequency; G
    /// are the products of the taps, and Z(θ) puts e^(iθ lag) where windows that far apart read the same pixel. A row of Z has one entry
    /// of magnitude 1 and a column at most as many as there are taps, so that ‖Z* E Z‖ <= taps ‖E‖; on the side of the outputs
    /// the same holds of the sum over the classes of pixels that a stride makes. With E = Ĝ - G that bounds what the products lost; with E = |Ĝ| what
    /// sums and trigonometric functions did, each entry by a part of the sum of magnitudes.
    fn coefficients(&self, work: &Work) -> Result<Coefficients, Stopped> {
        let &Plan { kernel, side, circles } = self;
        let (order, taps) = (self.order(), kernel.all_taps());
        let Gram { matrix: mut products, error, frobenius } = kernel.products(side, work)?;
        let reach = circles.map(|circle| circle.reach() as isize);
        let width = (2 * reach[1] + 1) as usize;
        let mut matrices = vec![Vec::new(); (2 * reach[0] + 1) as usize * width];
        for t in 0..taps {
            for u in 0..taps {
                let apart = |axis: usize, split: &dyn Fn(usize) -> usize| circles[axis].lag(split(t), split(u));
                let (down, across) = (apart(0, &|t| t / kernel.taps[1]), apart(1, &|t| t % kernel.taps[1]));
                let (Some(down), Some(across)) = (down, across) else { continue };
                let at = (down + reach[0]) as usize * width + (across + reach[1]) as usize;
                let matrix = &mut matrices[at];
                matrix.resize(order * order, 0.0);
                for a in 0..order {
                    for b in 0..order {
                        let (p, q) = (t * order + a, u * order + b);
                        matrix[a * order + b] += *products.at(p.min(q), p.max(q));
                    }
                }
            }
        }
        let distance = |at: usize| [(at / width) as isize - reach[0], (at % width) as isize - reach[1]];
        let lags: Vec<_> =
            matrices.into_iter().enumerate().filter(|(_, m)| !m.is_empty()).map(|(at, m)| (distance(at), m)).collect();
        // A phase is a product of two, each off by the same; then all sums.
        let rounded = mul(8.0, add(TRIGONOMETRIC_ERROR, gamma(2 * lags.len() + taps + 16, UNIT)));
        let magnitude = add(frobenius, error);
        Ok(Coefficients { lags, error: mul(taps as f64, add(error, mul(rounded, magnitude))) })
    }

    pub fn torus(&self, work: &Work) -> Result<Torus, Stopped> {
        let Coefficients { lags, error } = self.coefficients(work)?;
        let frequencies = self.circles.map(|circle| circle.frequencies);
        Ok(Torus { order: self.order(), frequencies, lags, error, factor: self.factor() })
    }

    /// With A = Σ |C_δ|, entry by entry, v* S(θ) v <= Σ A_ij |v_i| |v_j|, at most the largest eigenvalue of A times ‖v‖², at every frequency.
    pub fn correlations(&self, work: &Work) -> Result<Bound, Stopped> {
        let Coefficients { lags, error } = self.coefficients(work)?;
        let order = self.order();
        let mut matrix = Symmetric::zeros(order, order);
        for i in 0..order {
            for j in i..order {
                let sum = |i: usize, j: usize| lags.iter().map(|(_, m)| m[i * order + j].abs()).sum::<f64>();
                // C_δ is the transpose of C_-δ, up to rounding.
                *matrix.at(i, j) = sum(i, j).max(sum(j, i));
            }
        }
        Ok(Bound { matrix, error, factor: self.factor() })
    }
}

struct Coefficients {
    lags: Vec<([isize; 2], Vec<f64>)>,
    error: f64,
}

/// cos and sin of 2 pi j / n for j < n, within [`TRIGONOMETRIC_ERROR`]: Taylor's series within an eighth of a turn, of which what is left out
/// is below 1e-20.
fn cosine_and_sine(j: usize, n: usize) -> (f64, f64) {
    let (octant, rest) = (8 * j / n, 8 * j % n);
    let part = |numerator: usize| std::f64::consts::FRAC_PI_4 * (numerator as f64 / n as f64);
    let angle = if octant.is_multiple_of(2) { part(rest) } else { -part(n - rest) };
    let square = angle * angle;
    let series = |first: usize| {
        (first..first + 18).step_by(2).rev().fold(1.0, |sum, at| 1.0 - sum * square / ((at + 1) * (at + 2)) as f64)
    };
    let (c, s) = (series(0), angle * series(1));
    match octant.div_ceil(2) % 4 {
        0 => (c, s),
        1 => (-s, c),
        2 => (-c, -s),
        _ => (s, -c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_and_sines_are_within_their_error() {
        for n in [1, 2, 3, 7, 8, 33, 1000] {
            for j in 0..n {
                let angle = 2.0 * std::f64::consts::PI * j as f64 / n as f64;
                let (c, s) = cosine_and_sine(j, n);
                assert!((c - angle.cos()).abs() < TRIGONOMETRIC_ERROR && (s - angle.sin()).abs() < TRIGONOMETRIC_ERROR);
            }
        }
    }
}
