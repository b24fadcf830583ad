//! Sums and norms over windows and their gradients at every level against their definitions, and of sorted pairs against
//! one step after another.
use tslip_cpu::kernels::pool::{Windows, norm, norm_grad, sorted_norm, sorted_norm_grad, sum, sum_grad};
use tslip_cpu::kernels::sort::{group_permute2, group_sort2};
use tslip_cpu::simd::Level;

mod common;
use common::noise;

/// Sums of a few squares and a square root, or a quotient and a product, each rounded once.
const TOLERANCE: f64 = 5e-7;
/// The smallest step between floats, which is all that results near zero can be held to.
const STEP: f64 = 1.5e-45;

/// Calls `tap(pixel, window)` with flat indices for every value of every window.
fn each_tap(s: &Windows, mut tap: impl FnMut(usize, usize)) {
    let [rows, columns] = s.count();
    for at in 0..s.outer * rows * columns * s.inner {
        let (i, ox, oy) = (at % s.inner, at / s.inner % columns, at / s.inner / columns % rows);
        let n = at / s.inner / columns / rows;
        for (ky, kx) in (0..s.kernel[0] * s.kernel[1]).map(|k| (k / s.kernel[1], k % s.kernel[1])) {
            let (y, x) = (oy * s.stride[0] + ky, ox * s.stride[1] + kx);
            tap(((n * s.h + y) * s.w + x) * s.inner + i, at);
        }
    }
}

fn close(got: &[f32], want: &[f64], what: &str) {
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let near = match w as f32 {
            rounded if rounded.is_finite() => (f64::from(g) - w).abs() <= TOLERANCE * w.abs() + STEP,
            rounded => g.to_bits() == rounded.to_bits() || g.is_nan() && rounded.is_nan(),
        };
        assert!(near, "{what}[{i}]: {g:e} instead of {w:e}");
    }
}

/// Both kernels at every level against the definition.
fn agree(s: &Windows, x: &[f32], dy: &[f32]) {
    let mut sums = vec![0.0; dy.len()];
    each_tap(s, |pixel, window| sums[window] += f64::from(x[pixel]).powi(2));
    let y64: Vec<f64> = sums.into_iter().map(f64::sqrt).collect();
    let exact: Vec<f32> = y64.iter().map(|&v| v as f32).collect();
    let mut dx64 = vec![0.0; x.len()];
    each_tap(s, |pixel, window| {
        if exact[window] != 0.0 {
            dx64[pixel] += f64::from(x[pixel]) / f64::from(exact[window]) * f64::from(dy[window]);
        }
    });
    for level in Level::available() {
        let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
        norm(level, s, x, &mut y);
        close(&y, &y64, &format!("{level:?} norm {s:?}"));
        norm_grad(level, s, x, &exact, dy, &mut dx);
        close(&dx, &dx64, &format!("{level:?} gradient {s:?}"));
    }
}

fn shapes() -> Vec<Windows> {
    let base = Windows { outer: 2, h: 6, w: 8, inner: 16, kernel: [2, 2], stride: [2, 2] };
    let inner = [1, 2, 7, 8, 9, 15, 16, 17, 32, 33].map(|inner| Windows { inner, ..base });
    let others = [
        Windows { outer: 0, ..base },
        Windows { inner: 0, ..base },
        Windows { h: 1, w: 1, kernel: [1, 1], stride: [1, 1], ..base },
        Windows { h: 7, w: 9, ..base },
        Windows { h: 7, w: 9, stride: [3, 4], inner: 5, ..base },
        Windows { kernel: [6, 8], inner: 3, ..base },
        Windows { kernel: [3, 2], stride: [1, 1], ..base },
        Windows { kernel: [3, 3], stride: [2, 2], inner: 9, ..base },
        Windows { kernel: [3, 3], stride: [2, 2], inner: 1, ..base },
        Windows { kernel: [1, 3], stride: [2, 1], inner: 17, ..base },
        Windows { kernel: [3, 3], stride: [2, 2], inner: 18, ..base },
        Windows { kernel: [3, 3], stride: [1, 1], inner: 10, ..base },
        Windows { w: 45, kernel: [2, 2], stride: [2, 2], inner: 1, ..base },
        Windows { w: 45, kernel: [3, 3], stride: [1, 1], inner: 1, ..base },
        Windows { h: 7, w: 45, kernel: [3, 3], stride: [2, 2], inner: 1, ..base },
        Windows { h: 7, w: 45, kernel: [3, 3], stride: [2, 2], inner: 4, ..base },
    ];
    [&inner[..], &others].concat()
}

#[test]
fn norms_and_gradients_agree_with_the_definition_at_every_level() {
    for s in shapes() {
        let windows = s.count().iter().product::<usize>() * s.outer * s.inner;
        // Positive values, as sums over overlapping windows may cancel.
        let magnitudes = |seed: u64, len: usize| noise(seed, len).into_iter().map(f32::abs).collect::<Vec<_>>();
        agree(&s, &magnitudes(1, s.outer * s.h * s.w * s.inner), &magnitudes(2, windows));
    }
}

#[test]
fn values_of_any_size_zeros_and_non_finite_ones_are_treated_lane_by_lane() {
    let sizes = [1.0, 0.0, 1e30, 1e-30, 1e-42, 1e-20, 3e38, 0.0, 1e15, 1e-45, f32::INFINITY, 2.0, f32::NAN];
    for inner in [1, 5, 16, 26] {
        let s = Windows { outer: 2, h: 4, w: 6, inner, kernel: [2, 2], stride: [2, 2] };
        let size = |pixel: usize| sizes[pixel % inner * 5 % sizes.len()];
        let mut x: Vec<f32> = noise(3, 2 * 24 * inner).into_iter().enumerate().map(|(i, v)| v * size(i)).collect();
        // A zero in the noise must not make NaN of infinity.
        x.iter_mut().enumerate().filter(|(i, _)| size(*i).is_infinite()).for_each(|(_, v)| *v = f32::INFINITY);
        let cotangents = [1.0, -0.5, 0.0, 1e30, 1e-30, 1e-42, f32::MAX];
        let dy: Vec<f32> = (0..2 * 6 * inner).map(|i| cotangents[i % cotangents.len()]).collect();
        agree(&s, &x, &dy);
    }
}

#[test]
fn a_window_of_which_one_value_is_huge_does_not_disturb_its_neighbours() {
    let s = Windows { outer: 1, h: 2, w: 2, inner: 16, kernel: [2, 2], stride: [2, 2] };
    let (x, dy) = (noise(4, 64), noise(5, 16));
    let mut disturbed = x.clone();
    disturbed[3] = 1e30;
    for level in Level::available() {
        let of = |x: &[f32]| {
            let (mut y, mut dx) = (vec![0.0; 16], vec![0.0; 64]);
            norm(level, &s, x, &mut y);
            norm_grad(level, &s, x, &y, &dy, &mut dx);
            (y, dx)
        };
        let ((y, dx), (other_y, other_dx)) = (of(&x), of(&disturbed));
        for i in (0..16).filter(|&i| i != 3) {
            assert_eq!(y[i].to_bits(), other_y[i].to_bits(), "{level:?}, lane {i}");
            assert!((0..4).all(|tap| dx[16 * tap + i].to_bits() == other_dx[16 * tap + i].to_bits()), "{level:?} {i}");
        }
    }
}

/// Bit for bit, where every NaN is the same one: IEEE 754 leaves open which of two a sum has.
fn identical(got: &[f32], want: &[f32], what: &str) {
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(g.to_bits() == w.to_bits() || g.is_nan() && w.is_nan(), "{what}[{i}]: {g:e} instead of {w:e}");
    }
}

/// Pooling of sorted pairs against sorting, pooling and moving back one after another.
fn same_bits(s: &Windows, x: &[f32], dy: &[f32]) {
    for level in Level::available() {
        let (mut sorted, mut y, mut gradient, mut dx) = (x.to_vec(), dy.to_vec(), x.to_vec(), x.to_vec());
        group_sort2(level, x, &mut sorted);
        norm(level, s, &sorted, &mut y);
        norm_grad(level, s, &sorted, &y, dy, &mut gradient);
        group_permute2(level, x, &gradient, &mut dx);
        let (mut fused_y, mut fused_dx) = (vec![9.0; dy.len()], vec![9.0; x.len()]);
        sorted_norm(level, s, x, &mut fused_y);
        sorted_norm_grad(level, s, x, &y, dy, &mut fused_dx);
        identical(&fused_y, &y, &format!("{level:?} norm {s:?}"));
        identical(&fused_dx, &dx, &format!("{level:?} gradient {s:?}"));
    }
}

#[test]
fn pooling_sorted_pairs_has_the_bits_of_sorting_then_pooling() {
    let (infinite, nan) = (f32::INFINITY, f32::NAN);
    let odd = [0.0, -0.0, 1.0, 1.0, 1e30, -1e30, 1e-30, 1e-42, 3e38, infinite, -infinite, nan, 2.5, -2.5, 0.0, -0.0];
    let cotangents = [1.0, -0.5, 0.0, 1e30, 1e-30, 1e-42, f32::MAX, -0.0, nan, infinite];
    for s in shapes().into_iter().filter(|s| s.inner % 2 == 0) {
        let windows = s.count().iter().product::<usize>() * s.outer * s.inner;
        let pixels = s.outer * s.h * s.w * s.inner;
        same_bits(&s, &noise(6, pixels), &noise(7, windows));
        let pick = |from: &[f32], seed: u64, len: usize| -> Vec<f32> {
            noise(seed, len).iter().map(|v| from[(v.abs() * 1e4) as usize % from.len()]).collect()
        };
        same_bits(&s, &pick(&odd, 8, pixels), &pick(&cotangents, 9, windows));
        // Whole windows of zeros and ties.
        same_bits(&s, &pick(&odd[..2], 8, pixels), &pick(&cotangents, 9, windows));
        same_bits(&s, &pick(&odd[..4], 8, pixels), &pick(&cotangents[..3], 9, windows));
    }
}

#[test]
#[should_panic(expected = "pairs")]
fn pixels_that_do_not_divide_into_pairs_are_refused() {
    let s = Windows { outer: 1, h: 2, w: 2, inner: 3, kernel: [2, 2], stride: [2, 2] };
    sorted_norm(Level::Portable, &s, &[0.0; 12], &mut [0.0; 3]);
}

#[test]
fn sums_and_their_gradients_agree_with_the_definition_at_every_level() {
    for s in shapes() {
        let windows = s.count().iter().product::<usize>() * s.outer * s.inner;
        // Small whole numbers: sums are exact in any order.
        let whole = |seed: u64, len: usize| noise(seed, len).iter().map(|v| (v * 9.0).round()).collect::<Vec<f32>>();
        let (x, dy) = (whole(1, s.outer * s.h * s.w * s.inner), whole(2, windows));
        let (mut y, mut dx) = (vec![0.0; windows], vec![0.0; x.len()]);
        each_tap(&s, |pixel, window| y[window] += x[pixel]);
        each_tap(&s, |pixel, window| dx[pixel] += dy[window]);
        for level in Level::available() {
            let (mut sums, mut spread) = (vec![9.0; windows], vec![9.0; x.len()]);
            sum(level, &s, &x, &mut sums);
            sum_grad(level, &s, &dy, &mut spread);
            assert_eq!((&sums, &spread), (&y, &dx), "{level:?} {s:?}");
        }
    }
}

#[test]
#[should_panic(expected = "floats")]
fn slices_of_another_length_are_refused() {
    let s = Windows { outer: 1, h: 2, w: 2, inner: 16, kernel: [2, 2], stride: [2, 2] };
    norm(Level::Portable, &s, &[0.0; 63], &mut [0.0; 16]);
}
