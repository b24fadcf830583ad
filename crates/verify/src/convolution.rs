//! A convolution on images of one size: what it computes, and the matrices by which its norm is proved.
use crate::axis::{Axis, Mode};
use crate::gram::Bound;
use crate::kernel::Kernel;
use crate::norm::{Method, Norm, Part, dense_cost, small_side};
use crate::operator::Operator;
use crate::outward::sqrt_of;
use crate::torus::Torus;
use crate::work::{Stopped, Work};

/// Operations of one attempt at a proof above which another proof is taken.
const MOST_OPERATIONS: f64 = 2e10;
/// Numbers of a matrix above which another proof is taken.
const MOST_NUMBERS: f64 = 3e7;

/// y = K x without a bias, `outputs` channels of windows from `inputs` channels of pixels; weight `[outputs, inputs / groups, taps]`.
pub(crate) struct Convolution {
    pub weight: Vec<f32>,
    pub outputs: usize,
    pub inputs: usize,
    pub groups: usize,
    /// Rows, then columns.
    pub axes: [Axis; 2],
}

impl Convolution {
    pub fn windows(&self) -> usize {
        self.axes[0].windows() * self.axes[1].windows()
    }

    pub fn all_taps(&self) -> usize {
        self.axes[0].taps * self.axes[1].taps
    }

    /// Operations of applying it or its adjoint once.
    pub fn cost(&self) -> f64 {
        2.0 * self.weight.len() as f64 * self.windows() as f64
    }

    /// Terms of a sum of products that is a result.
    pub fn terms(&self) -> usize {
        self.inputs / self.groups * self.all_taps()
    }

    /// The most windows that read one pixel, copies of it included.
    pub fn overlap(&self) -> usize {
        self.axes[0].overlap() * self.axes[1].overlap()
    }

    fn kernels(&self) -> impl Iterator<Item = Kernel<'_>> {
        let [outputs, inputs] = [self.outputs / self.groups, self.inputs / self.groups];
        let taps = [self.axes[0].taps, self.axes[1].taps];
        let size = outputs * inputs * taps[0] * taps[1];
        self.weight.chunks_exact(size).map(move |weight| Kernel { weight, outputs, inputs, taps })
    }

    /// Calls back with the weight, the channels and the rows of pixels and windows that meet, one tap after another, in the same order for
    /// all windows; `meet` gets the weight, the first pixel of a row and the first window of a row.
    fn each_tap(&self, mut meet: impl FnMut(f64, usize, usize, &[Option<usize>])) {
        let [rows, columns] = &self.axes;
        let (size, windows) = ([rows.size, columns.size], [rows.windows(), columns.windows()]);
        let read: Vec<Vec<Option<usize>>> =
            (0..columns.taps).map(|t| (0..windows[1]).map(|w| columns.pixel(w, t)).collect()).collect();
        let [per_output, per_input] = [self.outputs / self.groups, self.inputs / self.groups];
        for o in 0..self.outputs {
            for i in 0..per_input {
                let input = o / per_output * per_input + i;
                for t in 0..self.all_taps() {
                    let weight = f64::from(self.weight[(o * per_input + i) * self.all_taps() + t]);
                    let (down, across) = (t / columns.taps, t % columns.taps);
                    for w in 0..windows[0] {
                        if let Some(row) = rows.pixel(w, down) {
                            let pixels = (input * size[0] + row) * size[1];
                            meet(weight, pixels, (o * windows[0] + w) * windows[1], &read[across]);
                        }
                    }
                }
            }
        }
    }

    /// Adds K x to `y`.
    pub fn add(&self, x: &[f64], y: &mut [f64]) {
        self.each_tap(|weight, pixels, windows, read| {
            for (y, pixel) in y[windows..].iter_mut().zip(read) {
                if let Some(pixel) = pixel {
                    *y += weight * x[pixels + pixel];
                }
            }
        });
    }

    /// Adds Kᵀ x to `y`.
    pub fn add_adjoint(&self, x: &[f64], y: &mut [f64]) {
        self.each_tap(|weight, pixels, windows, read| {
            for (x, pixel) in x[windows..].iter().zip(read) {
                if let Some(pixel) = pixel {
                    y[pixels + pixel] += weight * x;
                }
            }
        });
    }

    /// sqrt(overlap) times the norm of the kernel as a matrix, `[outputs, inputs taps]`, the largest of its groups: a bound of the norm of the
    /// convolution by any part of its taps and channels, as ‖y‖² <= ‖K‖² Σ ‖patch‖² <= ‖K‖² overlap ‖x‖².
    pub fn kernel_norm(&self, work: &Work) -> Result<Norm, Stopped> {
        let factor = self.overlap() as f64;
        let part = |k: Kernel| small_side(k.weight, k.outputs, k.inputs * k.all_taps(), factor, work);
        Ok(Norm { parts: self.kernels().map(part).collect::<Result<_, _>>()? })
    }

    /// The same of its adjoint as a convolution by the kernel turned round, `[inputs, outputs taps]`, whose windows read what padding
    /// the other way round shows. Of a convolution with stride 1 that keeps the size of images.
    pub fn adjoint_kernel_norm(&self, work: &Work) -> Result<Norm, Stopped> {
        let turned = self.axes.map(|axis| Axis { before: axis.after, after: axis.before, ..axis });
        let factor = (turned[0].overlap() * turned[1].overlap()) as f64;
        let part = |k: Kernel| {
            let taps = k.all_taps();
            let weight: Vec<f32> = (0..k.weight.len())
                .map(|at| k.weight[(at / taps % k.outputs * k.inputs + at / taps / k.outputs) * taps + at % taps])
                .collect();
            small_side(&weight, k.inputs, k.outputs * taps, factor, work)
        };
        Ok(Norm { parts: self.kernels().map(part).collect::<Result<_, _>>()? })
    }

    /// Operations of [`Convolution::kernel_norm`] and a proof by it.
    pub fn kernel_cost(&self) -> f64 {
        let [outputs, inputs] = [self.outputs / self.groups, self.inputs / self.groups];
        self.groups as f64 * dense_cost(outputs, inputs * self.all_taps())
    }

    /// The proofs that are affordable, the tightest last but for ties.
    pub fn methods(&self) -> Vec<Method> {
        let affordable = |method: &Method| {
            self.expense(*method).is_some_and(|(cost, numbers)| cost <= MOST_OPERATIONS && numbers <= MOST_NUMBERS)
        };
        let operator = affordable(&Method::Operator);
        let torus = affordable(&Method::Torus);
        if self.overlap() <= 1 && self.axes.iter().all(|axis| axis.padded() == axis.size) {
            return vec![Method::Kernel];
        }
        let best = match (operator, torus) {
            (_, true) if Torus::is_exact(&self.axes) => Some(Method::Torus),
            (true, _) => Some(Method::Operator),
            (false, true) => Some(Method::Torus),
            (false, false) => Some(Method::Correlations).filter(affordable),
        };
        [Some(Method::Kernel), best].into_iter().flatten().collect()
    }

    /// Operations and numbers of an attempt at a proof by a method; none where there is no such proof.
    pub fn expense(&self, method: Method) -> Option<(f64, f64)> {
        let kernel = self.kernels().next()?;
        let groups = self.groups as f64;
        let (cost, numbers) = match method {
            Method::Kernel => (self.kernel_cost() / groups, 0.0),
            Method::Operator => Operator::cheapest(&kernel, &self.axes).expense(),
            Method::Torus => Torus::plans(&kernel, &self.axes).first()?.expense(),
            Method::Correlations => {
                Torus::plans(&kernel, &self.axes).iter().fold((0.0, 0.0), |(cost, numbers), plan| {
                    let (more, size) = plan.correlations_expense();
                    (cost + more, size.max(numbers))
                })
            }
            Method::Constant | Method::Matrix => return None,
        };
        Some((groups * cost, groups * numbers))
    }

    /// What a proof by a method needs; none where there is no such proof, or it costs too much.
    pub fn norm(&self, method: Method, work: &Work) -> Result<Option<Norm>, Stopped> {
        if method == Method::Kernel {
            return self.kernel_norm(work).map(Some);
        }
        let affordable = |(cost, numbers): &(f64, f64)| *cost <= MOST_OPERATIONS && *numbers <= MOST_NUMBERS;
        if self.expense(method).filter(affordable).is_none() {
            return Ok(None);
        }
        let part = |kernel: Kernel| match method {
            Method::Operator => Ok(Part::Gram(Operator::cheapest(&kernel, &self.axes).bound(work)?)),
            Method::Torus => Ok(Part::Torus(Torus::plans(&kernel, &self.axes)[0].torus(work)?)),
            _ => Ok(Part::Gram(correlations(&kernel, &self.axes, work)?)),
        };
        Ok(Some(Norm { parts: self.kernels().map(part).collect::<Result<_, _>>()? }))
    }

    /// Roundings of a result in float32 as a sum in any order: its terms, the bias, and the products by themselves.
    pub fn roundings(&self) -> usize {
        sum_roundings(self.terms(), self.outputs / self.groups)
    }

    /// Most places at which a window reads one pixel.
    pub fn copies(&self) -> usize {
        if self.axes.iter().all(|axis| axis.mode == Mode::Zeros) { 1 } else { self.all_taps() }
    }
}

/// The proof by correlations on the side on which they are smaller.
fn correlations(kernel: &Kernel, axes: &[Axis; 2], work: &Work) -> Result<Bound, Stopped> {
    let mut bounds = Vec::new();
    for plan in Torus::plans(kernel, axes) {
        let bound = plan.correlations(work)?;
        bounds.push((bound.estimate(work)?, bound));
    }
    let least = bounds.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    Ok(least.map(|(_, bound)| bound).unwrap_or_else(|| unreachable!("there is a side of outputs")))
}

/// Roundings of sums of `terms` products and a bias, of which there are `rows`: see "The error of a layer" in docs/certificates.md.
pub(crate) fn sum_roundings(terms: usize, rows: usize) -> usize {
    terms + 1 + sqrt_of(terms.min(rows)).ceil() as usize
}

#[cfg(test)]
#[path = "convolution_tests.rs"]
mod tests;
