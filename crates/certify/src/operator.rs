//! The norm of a convolution on an image of one size, borders and all, from above: a banded Gram matrix of the whole operator.
use crate::axis::{Axis, source};
use crate::cholesky::{Search, Triangle, eigenvalue_above};
use crate::kernel::{Kernel, Side};
use crate::lanczos::largest_eigenvalue;
use crate::rounding::{add_up, gamma, mul_up};

/// Operations of a factorization above which another bound is taken.
const MOST_OPERATIONS: f64 = 1e10;
/// Numbers of a triangle above which another bound is taken.
const MOST_NUMBERS: f64 = 1.6e7;
/// Taps of all windows along an axis above which another bound is taken.
const MOST_TAPS: usize = 1 << 20;
/// Of the squared norm.
const SEARCH: Search = Search { first: 1e-9, width: 1e-3 };

/// Along one axis: which taps meet in which place. Of AᵀA the sites are windows, each tap of which reads a pixel; of A Aᵀ they are
/// pixels, which are read by taps of windows. Indices are those of the other kind.
#[derive(Debug)]
struct Sites {
    indices: usize,
    /// Of each site taps and indices.
    members: Vec<Vec<(usize, usize)>>,
    /// Most indices, itself included, that an index meets at the same tap of a site, over all taps and sites.
    load: usize,
    /// Largest difference of two indices of a site.
    reach: usize,
}

impl Sites {
    fn of(axis: &Axis, size: usize, side: Side) -> Self {
        let Axis { kernel, stride, dilation, padding: (before, after), mode, .. } = *axis;
        let windows = (size + before + after - dilation * (kernel - 1) - 1) / stride + 1;
        let (sites, indices) = match side {
            Side::Inputs => (windows, size),
            Side::Outputs => (size, windows),
        };
        let mut members = vec![Vec::new(); sites];
        for tap in 0..kernel {
            for window in 0..windows {
                let position = (window * stride + tap * dilation) as isize - before as isize;
                if let Some(pixel) = source(position, size as isize, mode) {
                    let pixel = pixel as usize;
                    match side {
                        Side::Inputs => members[window].push((tap, pixel)),
                        Side::Outputs => members[pixel].push((tap, window)),
                    }
                }
            }
        }
        let mut loads = vec![0; indices];
        for site in &members {
            // Taps came one after another, so that those of a site are sorted.
            for same in site.chunk_by(|a, b| a.0 == b.0) {
                same.iter().for_each(|&(_, index)| loads[index] += same.len());
            }
        }
        let load = loads.into_iter().max().unwrap_or(0);
        let mut sites = Sites { indices, members, load, reach: 0 };
        sites.reach = sites.widest();
        sites.folded()
    }

    fn widest(&self) -> usize {
        let width = |site: &Vec<(usize, usize)>| {
            let indices = site.iter().map(|&(_, index)| index);
            indices.clone().max().unwrap_or(0) - indices.min().unwrap_or(0)
        };
        self.members.iter().map(width).max().unwrap_or(0)
    }

    /// The same with the two ends brought together - 0, n - 1, 1, n - 2 ... - where that brings indices of a site nearer to one another.
    fn folded(self) -> Self {
        let Sites { indices, load, reach, .. } = self;
        let place = |i: usize| if i < indices.div_ceil(2) { 2 * i } else { 2 * (indices - 1 - i) + 1 };
        let placed = |site: &Vec<(usize, usize)>| site.iter().map(|&(tap, i)| (tap, place(i))).collect();
        let mut other = Sites { indices, members: self.members.iter().map(placed).collect(), load, reach: 0 };
        other.reach = other.widest();
        if other.reach < reach { other } else { self }
    }
}

/// A Gram matrix that is to be factorized.
pub(crate) struct Operator<'a> {
    kernel: &'a Kernel<'a>,
    side: Side,
    sites: [Sites; 2],
    /// The axis whose indices come in the outer loop.
    slow: usize,
    width: usize,
}

impl<'a> Operator<'a> {
    /// The cheaper side and order of the axes; None without a size, and where it costs too much.
    pub fn affordable(kernel: &'a Kernel<'a>, axes: &[Axis; 2]) -> Option<Self> {
        let size = [axes[0].size?, axes[1].size?];
        let reads =
            |a: usize| size[a].saturating_add(axes[a].padding.0 + axes[a].padding.1).saturating_mul(axes[a].kernel);
        if (0..2).any(|a| reads(a) > MOST_TAPS) {
            return None;
        }
        let plans = [Side::Inputs, Side::Outputs].into_iter().flat_map(|side| {
            [0, 1].map(|slow| {
                let sites = [0, 1].map(|a| Sites::of(&axes[a], size[a], side));
                let channels = kernel.channels(side);
                let fast = &sites[1 - slow];
                let width = (sites[slow].reach * fast.indices + fast.reach + 1) * channels;
                Operator { kernel, side, sites, slow, width }
            })
        });
        let best = plans.min_by(|a, b| a.cost().total_cmp(&b.cost()))?;
        let numbers = best.order() as f64 * best.width as f64;
        (best.cost() <= MOST_OPERATIONS && numbers <= MOST_NUMBERS).then_some(best)
    }

    fn order(&self) -> usize {
        self.sites[0].indices * self.sites[1].indices * self.kernel.channels(self.side)
    }

    /// Operations of one factorization and of what goes before it.
    pub fn cost(&self) -> f64 {
        let channels = self.kernel.channels(self.side) as f64;
        let pairs: f64 =
            self.sites.iter().map(|s| s.members.iter().map(|m| (m.len() * m.len()) as f64).sum::<f64>()).product();
        let width = self.width.min(self.order()) as f64;
        self.order() as f64 * width * width + pairs * channels * channels + self.kernel.cost(self.side)
    }

    /// An upper bound of the squared norm of the scaled convolution; `known` where it is no better.
    ///
    /// Proof. AᵀA = Σ_s S_sᵀ G S_s: at the window s the matrix S_s of zeros and ones gives each tap the pixel that it reads, if any, and G are
    /// the products of the taps. Likewise A Aᵀ, where s is a pixel and S_s gives each tap the sum over the windows in which that
    /// tap reads s. For any E, ‖Σ S_sᵀ E S_s‖ <= ‖E‖ ‖Σ S_sᵀ S_s‖, and the second norm is at most the largest sum of a row of that
    /// nonnegative matrix, `load`; it is a product over the axes. With E = Ĝ - G that bounds what the products lost. Adding up T
    /// numbers for an entry changes it by at most gamma_T of the sum of their magnitudes, and so the matrix by at most
    /// gamma_T load ‖ |Ĝ| ‖, of which the last is at most ‖Ĝ‖_F <= ‖K‖_F² + ‖Ĝ - G‖. An entry has at most load taps numbers.
    pub fn squared_norm_upper(&self, known: f64) -> f64 {
        let &Operator { kernel, side, slow, width, .. } = self;
        let (channels, products) = (kernel.channels(side), kernel.products(side));
        let triangle = Triangle::banded(self.order(), width);
        let mut a = vec![0.0; triangle.len()];
        let [outer, inner] = [&self.sites[slow], &self.sites[1 - slow]];
        let tap = |of_outer: usize, of_inner: usize| match slow {
            0 => of_outer * kernel.taps[1] + of_inner,
            _ => of_inner * kernel.taps[1] + of_outer,
        };
        let place =
            |o: &(usize, usize), i: &(usize, usize)| (tap(o.0, i.0) * channels, (o.1 * inner.indices + i.1) * channels);
        for outers in &outer.members {
            for inners in &inner.members {
                let pairs = || outers.iter().flat_map(|o| inners.iter().map(move |i| place(o, i)));
                for (row, i) in pairs() {
                    for (column, j) in pairs().filter(|&(_, j)| j >= i) {
                        for c in 0..channels {
                            let from = if i == j { c } else { 0 };
                            let products = &products.data[(row + c) * products.order + column..][from..channels];
                            let entries = &mut a[triangle.at(i + c, j + from)..][..products.len()];
                            entries.iter_mut().zip(products).for_each(|(entry, product)| *entry += product);
                        }
                    }
                }
            }
        }
        let load = outer.load * inner.load;
        let magnitude = add_up(products.frobenius, products.error);
        let summed = mul_up(gamma(load.saturating_mul(kernel.all_taps())), magnitude);
        let error = mul_up(load as f64, add_up(products.error, summed));
        let diagonal = |i: usize| a[triangle.at(i, i)];
        let bound = if a.iter().all(|&entry| entry == 0.0) {
            0.0
        } else if (0..triangle.order).all(|i| diagonal(i) == 0.0) {
            // All that is left is rounding, of which there is no estimate.
            known
        } else {
            let estimate = largest_eigenvalue(triangle.order, diagonal, |x, y| triangle.multiply(&a, x, y));
            eigenvalue_above(&a, triangle, estimate, known, SEARCH)
        };
        add_up(bound, error).min(known)
    }
}

#[cfg(test)]
#[path = "operator_tests.rs"]
mod tests;
