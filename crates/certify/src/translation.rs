//! How the taps of a convolution's kernel bound its norm: by the correlations of the kernel with itself, channel by channel.
use std::collections::BTreeMap;

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
    let squared = if squared <= small.least() { squared } else { squared.min(large.norm_squared_upper(squared.min(limit))) };
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

/// The blocks of a kernel by their position, each as a matrix `[order, length]` with the channels of one side as rows.
struct Blocks {
    at: BTreeMap<[isize; 2], Vec<f64>>,
    order: usize,
    length: usize,
}

/// How far above 1 / (length of the longest row) squared a bound is taken for good enough.
const NEAR: f64 = 1.0 + 1e-3;

impl Blocks {
    fn of(taps: &Taps<'_>, scale: f64, side: Side) -> Blocks {
        let (&[out, inputs, kh, kw], [sy, sx], [dy, dx]) = (&taps.shape, taps.stride, taps.dilation);
        // Of a block the pixels that a tap may meet, as channels.
        let (py, px) = (sy.min(dy * (kh - 1) + 1), sx.min(dx * (kw - 1) + 1));
        let channels = inputs * py * px;
        let (order, length) = if side == Side::Outputs { (out, channels) } else { (channels, out) };
        let mut at = BTreeMap::new();
        for (i, &weight) in taps.weight.iter().enumerate() {
            let [row, channel, y, x] = [i / (inputs * kh * kw), i / (kh * kw) % inputs, i / kw % kh * dy, i % kw * dx];
            let column = (channel * py + y % sy) * px + x % sx;
            let block = at.entry([(y / sy) as isize, (x / sx) as isize]).or_insert_with(|| vec![0.0; order * length]);
            block[if side == Side::Outputs { row * length + column } else { column * length + row }] = exact(weight) / scale;
        }
        Blocks { at, order, length }
    }

    /// About the least that can be shown: the largest sum of squares of a row over all blocks.
    fn least(&self) -> f64 {
        let row = |i: usize| self.at.values().flat_map(|b| &b[i * self.length..][..self.length]).map(|x| x * x).sum::<f64>();
        (0..self.order).map(row).fold(0.0, f64::max) * NEAR
    }

    /// At least the largest eigenvalue of A; infinity where it is found not to be below `limit` on the way.
    ///
    /// Rounding: products of two scaled float32 numbers are exact in float64. An entry of A is a sum of at most n of them, n being
    /// blocks times `length`, and of as many magnitudes as there are distances. So it is off by at most gamma_(n + distances) times
    /// the sum of the magnitudes of all products, and these sums, as a matrix, have a Frobenius norm of at most Σ_m Σ_t ‖B_m‖_F
    /// ‖B_{m-t}‖_F = (Σ_m ‖B_m‖_F)².
    fn norm_squared_upper(&self, limit: f64) -> f64 {
        let Blocks { ref at, order, length } = *self;
        let mut distances: Vec<[isize; 2]> =
            at.keys().flat_map(|a| at.keys().map(move |b| [a[0] - b[0], a[1] - b[1]])).filter(|t| *t >= [0, 0]).collect();
        distances.sort_unstable();
        distances.dedup();
        let transposed: BTreeMap<[isize; 2], Vec<f64>> =
            at.iter().map(|(&m, block)| (m, (0..length * order).map(|i| block[i % order * length + i / order]).collect())).collect();
        let mut sums = vec![0.0; order * order];
        for &t in &distances {
            let mut correlation = vec![0.0; order * order];
            for (m, block) in at {
                if let Some(other) = transposed.get(&[m[0] - t[0], m[1] - t[1]]) {
                    add_product(block, other, &mut correlation, order);
                }
            }
            for i in 0..order {
                for j in 0..order {
                    sums[i * order + j] += correlation[i * order + j].abs();
                    // The same for the distance -t.
                    if t != [0, 0] {
                        sums[j * order + i] += correlation[i * order + j].abs();
                    }
                }
            }
            // The largest eigenvalue is at least the mean of the sums of rows, and that only grows.
            if sums.iter().sum::<f64>() > NEAR * limit * order as f64 {
                return f64::INFINITY;
            }
        }
        let norms = at.values().fold(0.0, |sum, block| {
            let squares = block.iter().fold(0.0, |sum, x| add_up(sum, mul_up(*x, *x)));
            add_up(sum, sqrt_up(squares))
        });
        let error = mul_up(gamma(at.len() * length + 2 * distances.len()), mul_up(norms, norms));
        let row = |i: usize| sums[i * order..][..order].iter().fold(0.0, |sum, x| add_up(sum, *x));
        let ceiling = add_up((0..order).map(row).fold(0.0, f64::max), error);
        // Both halves have been added up from the same magnitudes, in one order or another.
        for i in 0..order {
            for j in 0..i {
                sums[i * order + j] = sums[j * order + i];
            }
        }
        largest_eigenvalue_upper(&Gram { order, data: sums, error, ceiling })
    }
}

/// Adds the product of `a` `[order, length]` and `b` `[length, order]`.
fn add_product(a: &[f64], b: &[f64], to: &mut [f64], order: usize) {
    let length = a.len() / order;
    for (row, sums) in a.chunks_exact(length).zip(to.chunks_exact_mut(order)) {
        for (&x, other) in row.iter().zip(b.chunks_exact(order)) {
            if x != 0.0 {
                sums.iter_mut().zip(other).for_each(|(sum, y)| *sum += x * y);
            }
        }
    }
}
