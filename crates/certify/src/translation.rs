//! How the taps of a convolution's kernel bound its norm: by the correlations of the kernel with itself, channel by channel.
use std::sync::{Mutex, PoisonError};

use tslip_cpu::pool::pool;

use crate::gram::Gram;
use crate::norm::{exact, largest_eigenvalue_upper, power_of_two_above};
use crate::rounding::{add_up, gamma, mul_up, sqrt_up};

/// A kernel and the steps in which it is applied.
pub(crate) struct Taps<'a> {
    /// The weight `[out, in, kh, kw]`: finite numbers.
    pub weight: &'a [f32],
    /// Its shape.
    pub shape: [usize; 4],
    /// Pixels between windows.
    pub stride: [usize; 2],
    /// Pixels between taps.
    pub dilation: [usize; 2],
}

/// At least the norm of the convolution of an unbounded image, or of a periodic one whose period is a multiple of the stride, and so
/// of any part of its results for any part of its pixels. Infinity where it is found on the way that nothing below `enough` will
/// be shown.
///
/// Proof. With the pixels of stride by stride blocks as channels the operator is C = Σ_m B_m S^m, S^m being shifts by blocks, which
/// are isometries of either image. Then C Cᵀ = Σ_t H_t S^t with H_t = Σ_m B_m B_{m-t}ᵀ. For any u and v with channels u_i and v_j,
/// |<u, C Cᵀ v>| <= Σ_t Σ_ij |(H_t)_ij| ‖u_i‖ ‖v_j‖, so ‖C‖² is at most the largest eigenvalue of A = Σ_t |H_t|, entry by entry,
/// which is symmetric because H_{-t} is H_tᵀ. Cᵀ C gives such a matrix of the inputs; the smaller bound is taken. Where C Cᵀ = I or
/// Cᵀ C = I the A is the identity, up to the rounding of the weight; where a diagonal scaling has made one of them diagonally
/// dominant (Prach and Lampert 2022; Araujo et al. 2023) A has the largest eigenvalue 1, whatever the scaling was.
pub(crate) fn correlation_norm_upper(taps: &Taps<'_>, enough: f64) -> f64 {
    let largest = taps.weight.iter().map(|&x| exact(x).abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        return 0.0;
    }
    let scale = power_of_two_above(largest);
    let limit = mul_up(enough / scale, enough / scale);
    let [outputs, inputs] = [Side::Outputs, Side::Inputs].map(|side| Blocks::of(taps, scale, side));
    let (small, large) = if outputs.order <= inputs.order { (outputs, inputs) } else { (inputs, outputs) };
    let squared = small.norm_squared_upper(limit);
    // The larger side takes longer, and is no better where the smaller one shows about as little as can be.
    let squared =
        if squared <= small.least() { squared } else { squared.min(large.norm_squared_upper(squared.min(limit))) };
    sqrt_up(squared) * scale
}

/// Whose correlations are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Those of C Cᵀ.
    Outputs,
    /// Those of Cᵀ C.
    Inputs,
}

/// The blocks of a kernel that have taps, each as a matrix `[order, length]` with the channels of one side as rows.
struct Blocks {
    at: Vec<[usize; 2]>,
    values: Vec<f64>,
    order: usize,
    length: usize,
}

/// How far above the least bound, or a limit, one is taken for as good.
const NEAR: f64 = 1.0 + 1e-3;
/// Blocks whose pairs are looked through at most.
const MOST_BLOCKS: usize = 1 << 11;
/// Products that are summed up at most: a minute of one core.
const MOST_PRODUCTS: usize = 1 << 37;
/// Products below which waking a worker costs more than it saves.
const ALONE: usize = 1 << 21;
/// Rows that a worker takes at a time.
const BAND: usize = 16;

impl Blocks {
    fn of(taps: &Taps<'_>, scale: f64, side: Side) -> Blocks {
        let (&[out, inputs, kh, kw], [sy, sx], [dy, dx]) = (&taps.shape, taps.stride, taps.dilation);
        // Of a block the pixels that a tap may meet, as channels.
        let (py, px) = (sy.min(dy * (kh - 1) + 1), sx.min(dx * (kw - 1) + 1));
        let channels = inputs * py * px;
        let (order, length) = if side == Side::Outputs { (out, channels) } else { (channels, out) };
        let (mut at, mut place) = (Vec::new(), vec![0; kh * kw]);
        for (tap, place) in place.iter_mut().enumerate() {
            let block = [tap / kw * dy / sy, tap % kw * dx / sx];
            *place = at.iter().rposition(|&known| known == block).unwrap_or_else(|| {
                at.push(block);
                at.len() - 1
            });
        }
        let mut values = vec![0.0; at.len() * order * length];
        for (i, &weight) in taps.weight.iter().enumerate() {
            let [row, channel, tap] = [i / (inputs * kh * kw), i / (kh * kw) % inputs, i % (kh * kw)];
            let column = (channel * py + tap / kw * dy % sy) * px + tap % kw * dx % sx;
            let entry = if side == Side::Outputs { row * length + column } else { column * length + row };
            values[place[tap] * order * length + entry] = exact(weight) / scale;
        }
        Blocks { at, values, order, length }
    }

    fn block(&self, i: usize) -> &[f64] {
        &self.values[i * self.order * self.length..][..self.order * self.length]
    }

    /// About the least that can be shown: the largest sum of squares of a row over all blocks.
    fn least(&self) -> f64 {
        let row = |i: usize| -> f64 {
            let parts = (0..self.at.len()).flat_map(|b| &self.block(b)[i * self.length..][..self.length]);
            parts.map(|x| x * x).sum()
        };
        (0..self.order).map(row).fold(0.0, f64::max) * NEAR
    }

    /// At least the largest eigenvalue of A; infinity where it is found not to be below `limit` on the way, or would take too long.
    ///
    /// Rounding: products of two scaled float32 numbers are exact in float64. An entry of A is a sum of at most n of them, n being
    /// blocks times `length`, and of as many magnitudes as there are distances. So it is off by at most gamma_(n + distances) times
    /// the sum of the magnitudes of all products, and these sums, as a matrix, have a Frobenius norm of at most Σ_m Σ_t ‖B_m‖_F
    /// ‖B_{m-t}‖_F = (Σ_m ‖B_m‖_F)².
    fn norm_squared_upper(&self, limit: f64) -> f64 {
        let Blocks { ref at, order, length, .. } = *self;
        let pairs = at.len().saturating_mul(at.len() + 1) / 2;
        let each = order.saturating_mul(order).saturating_mul(length);
        if at.len() > MOST_BLOCKS || pairs.saturating_mul(each) > MOST_PRODUCTS {
            return f64::INFINITY;
        }
        let transposed: Vec<f64> = (0..at.len())
            .flat_map(|b| (0..length * order).map(move |i| self.block(b)[i % order * length + i / order]))
            .collect();
        let distances = Distances::between(at);
        // Of the distances on one side of 0 alone: those on the other have the transposed correlations.
        let (mut sums, mut at_zero) = (vec![0.0; order * order], vec![0.0; order * order]);
        for (t, pairs) in distances.0.iter().enumerate() {
            let to = if t == 0 { &mut at_zero } else { &mut sums };
            add_magnitudes(to, order, pairs.len() * each, |rows, first, correlation| {
                for &(m, other) in pairs {
                    let block = &self.block(m)[first * length..][..rows * length];
                    add_product(block, &transposed[other * order * length..][..order * length], correlation, order);
                }
            });
            // The largest eigenvalue is at least the mean of the sums of rows, and that only grows.
            let total = at_zero.iter().sum::<f64>() + 2.0 * sums.iter().sum::<f64>();
            if total > NEAR * limit * order as f64 {
                return f64::INFINITY;
            }
        }
        let norms = (0..at.len()).fold(0.0, |sum, b| {
            let squares = self.block(b).iter().fold(0.0, |sum, x| add_up(sum, mul_up(*x, *x)));
            add_up(sum, sqrt_up(squares))
        });
        let error = mul_up(gamma(at.len() * length + 2 * distances.0.len()), mul_up(norms, norms));
        let mut data = at_zero;
        for i in 0..order {
            for j in 0..=i {
                let both = data[i * order + j] + (sums[i * order + j] + sums[j * order + i]);
                (data[i * order + j], data[j * order + i]) = (both, both);
            }
        }
        let row = |i: usize| data[i * order..][..order].iter().fold(0.0, |sum, x| add_up(sum, *x));
        let ceiling = add_up((0..order).map(row).fold(0.0, f64::max), error);
        largest_eigenvalue_upper(&Gram { order, data, error, ceiling })
    }
}

/// For each distance of two blocks, that of 0 first and of each other one and its opposite one of the two, the pairs of numbers of blocks.
struct Distances(Vec<Vec<(usize, usize)>>);

impl Distances {
    fn between(at: &[[usize; 2]]) -> Distances {
        let extent = |axis: usize| at.iter().map(|m| m[axis]).max().unwrap_or(0);
        let (height, width) = (extent(0), extent(1));
        let mut by_distance = vec![Vec::new(); (height + 1) * (2 * width + 1)];
        for (i, a) in at.iter().enumerate() {
            for (j, b) in at.iter().enumerate().filter(|(_, b)| **b <= *a) {
                by_distance[(a[0] - b[0]) * (2 * width + 1) + a[1] + width - b[1]].push((i, j));
            }
        }
        // That of 0 is number `width`, those before it are empty.
        Distances(by_distance.into_iter().skip(width).filter(|pairs| !pairs.is_empty()).collect())
    }
}

/// Adds to each entry of `to` `[order, order]` the magnitude of what `make` adds up for it, in bands of rows: it is given how many
/// rows, the first of them and zeros.
fn add_magnitudes(to: &mut [f64], order: usize, products: usize, make: impl Fn(usize, usize, &mut [f64]) + Sync) {
    let bands: Vec<Mutex<&mut [f64]>> = to.chunks_mut(BAND * order).map(Mutex::new).collect();
    let band = |i: usize, _worker: usize| {
        let mut to = bands[i].lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = vec![0.0; to.len()];
        make(to.len() / order, i * BAND, &mut made);
        to.iter_mut().zip(&made).for_each(|(to, made)| *to += made.abs());
    };
    if products < ALONE {
        return (0..bands.len()).for_each(|i| band(i, 0));
    }
    if let Err(message) = pool().run(bands.len(), &band) {
        panic!("a band of correlations failed: {message}");
    }
}

/// Adds the product of `a` `[rows, length]` and `b` `[length, order]`.
fn add_product(a: &[f64], b: &[f64], to: &mut [f64], order: usize) {
    let length = b.len() / order;
    for (row, sums) in a.chunks_exact(length).zip(to.chunks_exact_mut(order)) {
        for (&x, other) in row.iter().zip(b.chunks_exact(order)) {
            if x != 0.0 {
                sums.iter_mut().zip(other).for_each(|(sum, y)| *sum += x * y);
            }
        }
    }
}
