//! The norm of a convolution from above by Fourier transform: as part of a circular one on a torus, or for images of every size; and by
//! what bounds all frequencies at once.
use std::sync::{Mutex, PoisonError};

use tslip_cpu::pool::pool;

use crate::axis::{Axis, PaddingMode, gcd, overlap};
use crate::cholesky::{Search, Triangle, eigenvalue_above, eigenvalue_upper};
use crate::gram::Gram;
use crate::kernel::{Kernel, Side};
use crate::lanczos::largest_eigenvalue;
use crate::product::multiply_vector;
use crate::rounding::{add_up, div_up, gamma, mul_up};

/// Operations above which another bound is taken; for images of every size they may be done on the caller's time.
const MOST_OPERATIONS: f64 = 5e9;
const MOST_FOR_EVERY_SIZE: f64 = 1e9;
/// Of correlations, which alone bound kernels of many channels that keep norms: 512 of them in 3x3 taps take seconds.
const MOST_FOR_CORRELATIONS: f64 = 1.2e10;
/// Numbers of the symbol's coefficients above which another bound is taken.
const MOST_NUMBERS: f64 = 3e7;
/// Of the squared norm: a bound that is raised is raised so far that neighbouring frequencies seldom raise it again.
const SEARCH: Search = Search { first: 2e-4, width: 1e-3 };
/// Of a bound by correlations, which are those of a matrix that may well be the identity.
const CORRELATION_SEARCH: Search = Search { first: 1e-9, width: 1e-8 };
/// What the mean of an eigenvalue over all angles is worth where few frequencies may all have less: enough to be above 0.
const ALIASED: f64 = 1e-9;
/// Points for each degree of a symbol on a grid for images of every size, tried in this order until one is affordable. The bound is high by at
/// most 1 - cos(pi / points) on each axis, of the squared norm: 0.1, 0.4, 1.4, 4 and 8 %.
const POINTS: [usize; 5] = [70, 36, 19, 11, 8];
/// Of a cosine or sine as [`cosine_and_sine`] computes it: its argument, below 1, is within 4 units in the last place, and Horner's
/// scheme of ten terms below 1.4 in all rounds by at most 30 more; together they are below 1e-14.
const TRIGONOMETRIC_ERROR: f64 = 1e-14;

/// One axis of a torus.
#[derive(Clone, Copy, Debug)]
struct Circle {
    kernel: usize,
    /// Stride and dilation, which have no common factor.
    stride: usize,
    dilation: usize,
    /// How many frequencies there are; None for images of every size.
    frequencies: Option<usize>,
    /// At least the squared norm of what makes the circular convolution of the one that is bounded: of copies, or of rows that recur.
    copies: usize,
    /// Whether it has just the norm of the torus.
    exact: bool,
}

impl Circle {
    /// None where copies cannot be counted.
    ///
    /// A window of a torus of N pixels, N a multiple of the stride, is a window of the axis if windows of the axis are at different
    /// places modulo N and if what it reads beyond the image is zero: with zeros, where N >= size + padding on either side. A
    /// circular axis is such a torus where the stride divides its size, but for windows that recur; none does where the padding is
    /// smaller than a window. In the other modes the axis is a convolution of the padded image, without padding, behind the map that
    /// copies pixels, whose squared norm is the most places that show one pixel.
    ///
    /// Where stride and dilation have a common factor g, every g-th position alone is read: divided by g they read the same of fewer pixels.
    fn of(axis: &Axis) -> Option<Self> {
        let Axis { kernel, stride, dilation, padding: (before, after), mode, size, whole_strides } = *axis;
        let span = dilation * (kernel - 1) + 1;
        let shown = overlap(&Axis { kernel: 1, stride: 1, dilation: 1, ..*axis }).ok()?;
        let common = gcd(stride, dilation);
        let periodic = mode == PaddingMode::Circular && (stride == 1 || whole_strides) && before + after < span;
        let (pixels, copies, exact) = match size {
            None if mode == PaddingMode::Zeros || periodic => (None, 1, false),
            None => (None, shown, false),
            Some(n) => {
                let windows = (n + before + after - span) / stride + 1;
                match mode {
                    PaddingMode::Zeros => (Some((n + before.max(after)).max((windows - 1) * stride + 1)), 1, false),
                    PaddingMode::Circular if n % stride == 0 => {
                        (Some(n), windows.div_ceil(n / stride), windows % (n / stride) == 0)
                    }
                    _ => (Some(n + before + after), shown, false),
                }
            }
        };
        let frequencies = pixels.map(|n| n.div_ceil(stride));
        // On a grid for every size a dilation without a common factor only permutes frequencies, on the side of the outputs.
        let dilation = if size.is_none() { 1 } else { dilation / common };
        Some(Circle { kernel, stride: stride / common, dilation, frequencies, copies, exact })
    }

    /// In which of `stride` classes of pixels a tap reads, and how many strides on.
    fn class(&self, tap: usize) -> (usize, usize) {
        (tap * self.dilation % self.stride, tap * self.dilation / self.stride)
    }

    /// The largest difference of strides of two taps.
    fn degree(&self) -> usize {
        (self.kernel - 1) * self.dilation / self.stride
    }
}

/// The symbol of a convolution's Gram matrix on a grid of frequencies.
pub(crate) struct Torus<'a> {
    kernel: &'a Kernel<'a>,
    side: Side,
    circles: [Circle; 2],
    frequencies: [usize; 2],
    /// Of a grid for every size: points for each degree.
    points: Option<usize>,
}

impl<'a> Torus<'a> {
    /// The cheaper side, and the finest grid for images of every size; None where it costs too much.
    pub fn affordable(kernel: &'a Kernel<'a>, axes: &[Axis; 2]) -> Option<Self> {
        let circles = [Circle::of(&axes[0])?, Circle::of(&axes[1])?];
        let sized = circles.iter().all(|c| c.frequencies.is_some());
        let grids: Vec<Option<usize>> = if sized { vec![None] } else { POINTS.map(Some).to_vec() };
        let most = if sized { MOST_OPERATIONS } else { MOST_FOR_EVERY_SIZE };
        grids.into_iter().find_map(|points| {
            let frequencies = circles.map(|c| c.frequencies.unwrap_or(points.unwrap_or(1) * c.degree()).max(1));
            let sides = [Side::Inputs, Side::Outputs].map(|side| Torus { kernel, side, circles, frequencies, points });
            let affordable = sides.into_iter().filter(|plan| plan.cost() <= most && plan.numbers() <= MOST_NUMBERS);
            affordable.min_by(|a, b| a.cost().total_cmp(&b.cost()))
        })
    }

    /// Both sides, as far as [`Torus::correlations_upper`] is affordable with `most` operations.
    pub fn correlated(kernel: &'a Kernel<'a>, axes: &[Axis; 2], most: f64) -> Vec<Self> {
        let (Some(height), Some(width)) = (Circle::of(&axes[0]), Circle::of(&axes[1])) else { return Vec::new() };
        let of = |side| Torus { kernel, side, circles: [height, width], frequencies: [1, 1], points: None };
        let cost = |plan: &Self| kernel.cost(plan.side) + (plan.order() as f64).powi(3);
        let affordable = |plan: &Self| cost(plan) <= most.min(MOST_FOR_CORRELATIONS) && plan.numbers() <= MOST_NUMBERS;
        [Side::Inputs, Side::Outputs].map(of).into_iter().filter(affordable).collect()
    }

    /// Whether the convolution has just the norm that is bounded.
    pub fn exact(&self) -> bool {
        self.circles.iter().all(|c| c.exact)
    }

    fn order(&self) -> usize {
        match self.side {
            Side::Inputs => self.kernel.inputs * self.circles[0].stride * self.circles[1].stride,
            Side::Outputs => self.kernel.outputs,
        }
    }

    fn lags(&self) -> [usize; 2] {
        self.circles.map(|c| 2 * c.degree() + 1)
    }

    fn numbers(&self) -> f64 {
        (self.order() as f64).powi(2) * self.lags().iter().map(|&n| n as f64).product::<f64>()
    }

    /// Operations: coefficients, their sums along each axis, factorizations.
    pub fn cost(&self) -> f64 {
        let [rows, columns] = self.frequencies.map(|n| n as f64);
        let order = self.order() as f64;
        let each = 4.0 * order * order * self.lags()[1] as f64 + (2.0 * order).powi(3) / 3.0;
        self.kernel.cost(self.side) + rows * (self.numbers() + columns * each) / 2.0
    }

    /// An upper bound of the squared norm of the scaled convolution; `known` where it is no better.
    ///
    /// Proof. On a torus the Gram matrix is block diagonal in the Fourier basis, with the symbol S(θ) = Z(θ)* G Z(θ) at each frequency; G
    /// are the products of the taps, and Z(θ) puts e^(iθ lag) where a tap reads, by the classes of pixels that a stride makes. A row
    /// of Z has one entry of magnitude 1 and a column at most as many as there are taps, so that ‖Z* E Z‖ <= taps ‖E‖; on the side of
    /// the outputs the same holds of the sum over classes. With E = Ĝ - G that bounds what the products lost; with E = |Ĝ| what
    /// the sums and the trigonometric functions lost, each entry a part `rounded` of the sum of magnitudes. X + iY is Hermitian and
    /// has the eigenvalues of [[X, -Y], [Y, X]]; S(-θ) is the conjugate of S(θ).
    ///
    /// For images of every size: for any v, v* S(θ) v is a trigonometric polynomial >= 0 of the degree of the axis, so that its
    /// supremum is at most the largest value on M equidistant points over cos(pi degree / M) (Ehlich and Zeller, Schwankung von
    /// Polynomen zwischen Gitterpunkten, Math. Zeitschrift 86, 1964), along one axis after the other.
    pub fn squared_norm_upper(&self, known: f64) -> f64 {
        let products = self.kernel.products(self.side);
        let error = self.error(&products);
        let mut factor = self.copies();
        for circle in &self.circles {
            if let (Some(points), true) = (self.points, circle.frequencies.is_none() && circle.degree() > 0) {
                let cosine = cosine_and_sine(1, 2 * points).0 - TRIGONOMETRIC_ERROR;
                factor = div_up(factor, cosine.next_down());
            }
        }
        let most = known / factor;
        let bound = self.largest_upper(&products, most);
        if bound >= most { known } else { mul_up(factor, add_up(bound, error)).min(known) }
    }

    /// An upper bound of the squared norm for any frequencies, `known` where it is no better: near the norm where the filters are
    /// orthogonal at all distances, or as good as orthogonal up to a scale of each.
    ///
    /// Proof. With S(θ) = Σ C_δ e^(iδθ) and A = Σ |C_δ|, entry by entry, v* S(θ) v <= Σ_ij A_ij |v_i| |v_j|, at most the largest eigenvalue
    /// of A times ‖v‖², which is below the largest sum of a row. What A lost is bounded as what S(θ) did.
    pub fn correlations_upper(&self, known: f64) -> f64 {
        let (factor, &Torus { kernel, side, .. }) = (self.copies(), self);
        let most = known / factor;
        // Of a part of the channels the eigenvalue is no larger: what is of no use is mostly found out at a sixteenth of the cost.
        let (outputs, inputs) = match side {
            Side::Inputs => (kernel.outputs, kernel.inputs.div_ceil(4)),
            Side::Outputs => (kernel.outputs.div_ceil(4), kernel.inputs),
        };
        let weight = kernel.first(outputs, inputs);
        let part = Torus { kernel: &Kernel { weight: &weight, outputs, inputs, ..*kernel }, ..*self };
        if estimate_of(&part.magnitudes(&part.kernel.products(side)), part.order()) >= most {
            return known;
        }
        let (products, order) = (kernel.products(side), self.order());
        let a = self.magnitudes(&products);
        let bound = eigenvalue_above(&a, Triangle::dense(order), estimate_of(&a, order), most, CORRELATION_SEARCH);
        if bound >= most { known } else { mul_up(factor, add_up(bound, self.error(&products))).min(known) }
    }

    /// Σ |C_δ|, entry by entry.
    fn magnitudes(&self, products: &Gram) -> Vec<f64> {
        let size = self.order().pow(2);
        let mut sums = vec![0.0; size];
        for matrix in self.coefficients(products).chunks_exact(size) {
            sums.iter_mut().zip(matrix).for_each(|(sum, x)| *sum += x.abs());
        }
        sums
    }

    /// At least the squared norm of what makes the circular convolution of the one that is bounded.
    fn copies(&self) -> f64 {
        self.circles.iter().fold(1.0, |factor, c| mul_up(factor, c.copies as f64))
    }

    /// At least what a symbol is off by, in norm.
    fn error(&self, products: &Gram) -> f64 {
        let (taps, lags) = (self.kernel.all_taps(), self.lags());
        let steps = 4 * (lags[0] + lags[1]) + lags[0] * lags[1] + taps + 8;
        let rounded = mul_up(8.0, add_up(TRIGONOMETRIC_ERROR, gamma(steps)));
        let magnitude = add_up(products.frobenius, products.error);
        mul_up(taps as f64, add_up(products.error, mul_up(rounded, magnitude)))
    }

    /// At least the largest eigenvalue of the symbols as computed, or `most`.
    fn largest_upper(&self, products: &Gram, most: f64) -> f64 {
        let symbols = Symbols { torus: self, coefficients: self.coefficients(products), most };
        let candidate = symbols.estimate() * (1.0 + SEARCH.first);
        let rows = self.frequencies[0] / 2 + 1;
        let bounds: Vec<Mutex<f64>> = (0..rows).map(|_| Mutex::new(most)).collect();
        let bound = |f: usize, _worker: usize| {
            *bounds[f].lock().unwrap_or_else(PoisonError::into_inner) = symbols.row_upper(f, candidate);
        };
        if let Err(message) = pool().run(rows, &bound) {
            panic!("the bound of a row of frequencies failed: {message}");
        }
        let bounds = bounds.into_iter().map(|bound| bound.into_inner().unwrap_or_else(PoisonError::into_inner));
        bounds.fold(0.0, f64::max)
    }

    /// The matrices C_δ of the symbol Σ C_δ e^(iδθ), those of one lag of the first axis after another.
    fn coefficients(&self, products: &Gram) -> Vec<f64> {
        let &Torus { kernel, side, circles, .. } = self;
        let (channels, order, lags) = (kernel.channels(side), self.order(), self.lags());
        let mut coefficients = vec![0.0; lags[0] * lags[1] * order * order];
        let places: Vec<_> = (0..kernel.all_taps())
            .map(|tap| [circles[0].class(tap / kernel.taps[1]), circles[1].class(tap % kernel.taps[1])])
            .collect();
        for (t, p) in places.iter().enumerate() {
            for (u, q) in places.iter().enumerate() {
                let lag = |axis: usize| p[axis].1 + lags[axis] / 2 - q[axis].1;
                let block = |[h, w]: [(usize, usize); 2]| match side {
                    Side::Inputs => (h.0 * circles[1].stride + w.0) * channels,
                    Side::Outputs => 0,
                };
                if side == Side::Outputs && (0..2).any(|axis| p[axis].0 != q[axis].0) {
                    continue;
                }
                let matrix = &mut coefficients[(lag(0) * lags[1] + lag(1)) * order * order..][..order * order];
                for c in 0..channels {
                    let from = &products.data[(t * channels + c) * products.order + u * channels..][..channels];
                    let to = &mut matrix[(block(*p) + c) * order + block(*q)..][..channels];
                    to.iter_mut().zip(from).for_each(|(x, y)| *x += y);
                }
            }
        }
        coefficients
    }
}

/// The symbol Σ C_δ e^(iδθ) on the grid of a torus, of which eigenvalues up to `most` are of interest.
struct Symbols<'a> {
    torus: &'a Torus<'a>,
    coefficients: Vec<f64>,
    most: f64,
}

impl Symbols<'_> {
    /// e^(iδθ) for each lag δ of an axis.
    fn phases(&self, frequency: usize, axis: usize) -> Vec<[f64; 2]> {
        let (n, lags) = (self.torus.frequencies[axis], self.torus.lags()[axis]);
        let of = |lag: usize| cosine_and_sine((frequency * lag) % n + n - (frequency * (lags / 2)) % n, n);
        (0..lags).map(|lag| <[f64; 2]>::from(of(lag))).collect()
    }

    /// The sums along the first axis at a frequency of it, a complex matrix for each lag of the second.
    fn row(&self, f: usize) -> Vec<[f64; 2]> {
        let size = self.torus.lags()[1] * self.torus.order().pow(2);
        let mut row = vec![[0.0; 2]; size];
        for (line, [c, s]) in self.coefficients.chunks_exact(size).zip(self.phases(f, 0)) {
            for (sum, x) in row.iter_mut().zip(line) {
                sum[0] += c * x;
                sum[1] += s * x;
            }
        }
        row
    }

    /// The largest eigenvalue about, from a few frequencies; above 0.
    fn estimate(&self) -> f64 {
        let (order, lags, frequencies) = (self.torus.order(), self.torus.lags(), self.torus.frequencies);
        // Of all frequencies the mean of an eigenvalue: the largest is no less, unless other lags stand for the same distance.
        let constant = &self.coefficients[(lags[0] / 2 * lags[1] + lags[1] / 2) * order * order..];
        let mean = (0..order).map(|i| constant[i * order + i]).sum::<f64>() / order as f64;
        let aliased = (0..2).any(|axis| lags[axis] > frequencies[axis]);
        let mut estimate = if aliased { mean * ALIASED } else { mean };
        let mut a = vec![0.0; 4 * order * order];
        for f in [0, frequencies[0] / 4, frequencies[0] / 2] {
            let row = self.row(f);
            for g in (0..4).map(|quarter| quarter * frequencies[1] / 4) {
                fill_symbol(&mut a, order, &row, &self.phases(g, 1));
                estimate = estimate.max(estimate_of(&a, 2 * order));
            }
        }
        estimate
    }

    /// At least the largest eigenvalue at a frequency of the first axis, or `most`.
    fn row_upper(&self, f: usize, mut candidate: f64) -> f64 {
        let (order, frequencies) = (self.torus.order(), self.torus.frequencies);
        let triangle = Triangle::dense(2 * order);
        let (mut a, mut work) = (vec![0.0; triangle.len()], vec![0.0; triangle.len()]);
        let row = self.row(f);
        let own_conjugate = (2 * f).is_multiple_of(frequencies[0]);
        let columns = if own_conjugate { frequencies[1] / 2 + 1 } else { frequencies[1] };
        let mut bound = 0.0_f64;
        for g in 0..columns {
            fill_symbol(&mut a, order, &row, &self.phases(g, 1));
            if let Some(proved) = eigenvalue_upper(&a, triangle, candidate, &mut work) {
                bound = bound.max(proved);
                continue;
            }
            candidate = eigenvalue_above(&a, triangle, estimate_of(&a, 2 * order), self.most, SEARCH);
            bound = bound.max(candidate);
            if bound >= self.most {
                return self.most;
            }
        }
        bound
    }
}

/// The largest eigenvalue about; 0 of a matrix of zeros.
fn estimate_of(a: &[f64], order: usize) -> f64 {
    let diagonal = |i: usize| a[i * order + i];
    if (0..order).all(|i| diagonal(i) <= 0.0) {
        return 0.0;
    }
    largest_eigenvalue(order, diagonal, |x, y| multiply_vector(a, x, y))
}

/// The symmetric form of the symbol X + iY, [[X, -Y], [Y, X]], of the sums along the first axis.
fn fill_symbol(a: &mut [f64], order: usize, rows: &[[f64; 2]], phases: &[[f64; 2]]) {
    let whole = 2 * order;
    for i in 0..order {
        for j in i..order {
            let (mut re, mut im) = (0.0, 0.0);
            for (matrix, [c, s]) in rows.chunks_exact(order * order).zip(phases) {
                let [x, y] = matrix[i * order + j];
                re += x * c - y * s;
                im += x * s + y * c;
            }
            let im = if i == j { 0.0 } else { im };
            for (p, q) in [(i, j), (j, i), (order + i, order + j), (order + j, order + i)] {
                a[p * whole + q] = re;
            }
            for (p, q) in [(i, order + j), (order + j, i)] {
                a[p * whole + q] = -im;
            }
            for (p, q) in [(j, order + i), (order + i, j)] {
                a[p * whole + q] = im;
            }
        }
    }
}

/// cos and sin of 2 pi j / n, within [`TRIGONOMETRIC_ERROR`]: Taylor's series within an eighth of a turn, whose terms left out are
/// below 1e-20.
fn cosine_and_sine(j: usize, n: usize) -> (f64, f64) {
    let j = j % n;
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
#[path = "torus_tests.rs"]
pub(crate) mod tests;
