//! Bounds of convolutions against their norms: of the convolution written out as a matrix on each image, and of partial sums.
use super::*;
use crate::convolution::tests::{MODES, dense, on, options};
use crate::convolution::{ConvolutionOptions, conv2d_gain_upper, conv2d_lipschitz_upper};
use crate::norm::spectral_norm_upper;
use crate::test_support::Random;

/// What is promised at the size in use.
const TIGHT: f64 = 1.005;
/// The reference norm is itself a bound, at most so much above the norm.
pub(crate) const REFERENCE: f64 = 1e-9;

#[test]
fn cosines_and_sines_are_those_of_the_standard_library() {
    for n in [1, 2, 3, 7, 8, 12, 141, 1000] {
        for j in 0..2 * n {
            let angle = std::f64::consts::TAU * (j % n) as f64 / n as f64;
            let (c, s) = cosine_and_sine(j, n);
            // The angle itself is rounded there, to an ulp of 2 pi.
            assert!((c - angle.cos()).abs() < 2e-15 && (s - angle.sin()).abs() < 2e-15, "{j} of {n}: {c}, {s}");
            // A cosine and a sine that are off by d are off the unit circle by d at most.
            assert!((c * c + s * s - 1.0).abs() < TRIGONOMETRIC_ERROR, "{j} of {n}");
        }
    }
}

/// Kernels that are hard on bounds: `[out, in, kh, kw]`.
pub(crate) fn kernels(shape: [usize; 4], random: &mut Random) -> Vec<(&'static str, Vec<f32>)> {
    let [_, inner, kh, kw] = shape;
    let count = shape.iter().product::<usize>();
    let of = |f: &dyn Fn(usize, usize, usize, usize) -> f32| -> Vec<f32> {
        (0..count).map(|i| f(i / (inner * kh * kw), i / (kh * kw) % inner, i / kw % kh, i % kw)).collect()
    };
    // Of few bits, so that copies of weights that the reference adds up in float32 are added exactly.
    let noise: Vec<f32> = (0..count).map(|_| (random.number() * 256.0).round() / 256.0).collect();
    let checker = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    vec![
        ("ones", vec![1.0; count]),
        ("checkerboard", of(&|_, _, i, j| checker(i + j))),
        ("one tap", of(&|_, _, i, j| if i == 0 && j + 1 == kw { 1.0 } else { 0.0 })),
        (
            "difference",
            of(&|o, c, i, j| {
                if (i, j) == (0, 0) {
                    1e4
                } else if i + j == 1 {
                    -1e4
                } else {
                    (o + 2 * c) as f32
                }
            }),
        ),
        ("diagonal", of(&|o, c, i, j| if o == c && i == j { 1.0 } else { 0.0 })),
        ("tiny", noise.iter().map(|x| x * 2f32.powi(-67)).collect()),
        ("huge", noise.iter().map(|x| x * 2f32.powi(100)).collect()),
        ("graded", noise.iter().enumerate().map(|(i, x)| x * 2f32.powi(i as i32 % 9)).collect()),
        ("random", noise),
    ]
}

/// Bound over norm on one image, which is at least 1.
fn excess(weight: &[f32], shape: [usize; 4], o: &ConvolutionOptions, size: [usize; 2]) -> f64 {
    let (matrix, rows, cols) = dense(weight, shape, o, size);
    let norm = spectral_norm_upper(&matrix, rows, cols).unwrap() / (1.0 + REFERENCE);
    let bound = conv2d_lipschitz_upper(weight, &shape, &on(&size, o.clone())).unwrap();
    assert!(bound >= norm, "{o:?} {shape:?} on {size:?}: {bound:e} below {norm:e}");
    let gain = conv2d_gain_upper(weight, &shape, &on(&size, o.clone())).unwrap();
    assert!(gain >= bound, "{o:?}: the gain {gain:e} is below the bound {bound:e}");
    let any = conv2d_lipschitz_upper(weight, &shape, o).unwrap();
    assert!(any >= norm, "{o:?} {shape:?}: {any:e} for every size, below {norm:e} on {size:?}");
    if norm == 0.0 { if bound == 0.0 { 1.0 } else { f64::INFINITY } } else { bound / norm }
}

#[test]
fn bounds_are_tight_and_never_below_the_norm_on_a_grid_of_geometries() {
    let mut random = Random::new(11);
    let (mut worst, mut checked) = (0.0_f64, 0);
    for kernel in [[1, 1], [2, 2], [3, 3], [5, 5], [1, 3], [4, 2]] {
        for stride in [[1, 1], [2, 2], [1, 3]] {
            for dilation in [[1, 1], [2, 1]] {
                for pad in [[0, 0, 0, 0], [1, 1, 1, 1], [2, 0, 1, 2]] {
                    for mode in MODES {
                        let size = [5 + checked % 3, 6 + checked % 2];
                        let span = [0, 1].map(|a| dilation[a] * (kernel[a] - 1) + 1);
                        if (0..2).any(|a| size[a] + pad[a] + pad[a + 2] < span[a]) {
                            continue;
                        }
                        let groups = 1 + checked % 2;
                        let o = ConvolutionOptions {
                            groups,
                            padding: pad.to_vec(),
                            ..options(&kernel, &stride, &dilation, &[0, 0], mode)
                        };
                        let shape = [2 * groups, [1, 3, 2][checked % 3], kernel[0], kernel[1]];
                        let weights = kernels(shape, &mut random);
                        let (name, weight) = &weights[checked % weights.len()];
                        let ratio = excess(weight, shape, &o, size);
                        worst = worst.max(ratio);
                        assert!(ratio <= TIGHT, "{name} {o:?} {shape:?} on {size:?}: {ratio}");
                        checked += 1;
                    }
                }
            }
        }
    }
    // Not idle: norms of all kinds are met, and none is met by chance alone.
    assert!(checked > 400 && worst > 1.0, "{checked} geometries, the largest excess {worst}");
}

/// The bound by the torus alone, on one side.
fn on_torus(weight: &[f32], shape: [usize; 4], o: &ConvolutionOptions, side: Side) -> (f64, bool) {
    let axes = <[Axis; 2]>::try_from(o.axes().unwrap()).unwrap();
    let kernel = Kernel::of(weight, shape[0], shape[1], [shape[2], shape[3]]).unwrap();
    let torus = Torus { side, ..Torus::affordable(&kernel, &axes).unwrap() };
    (torus.squared_norm_upper(1e100).sqrt() * kernel.scale, torus.exact())
}

#[test]
fn a_torus_bounds_every_geometry_and_is_exact_where_it_says_so() {
    let mut random = Random::new(12);
    let (mut checked, mut exact, mut near) = (0, 0, 0);
    for (kernel, dilation) in [([2, 3], [1, 1]), ([3, 3], [1, 1]), ([3, 2], [2, 3]), ([5, 1], [1, 4])] {
        for stride in [[1, 1], [2, 2], [2, 3], [4, 1]] {
            for pad in [[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 0], [3, 2, 1, 4]] {
                for mode in MODES {
                    let size = [[6, 7], [8, 6], [4, 12]][checked % 3];
                    if (0..2).any(|a| size[a] + pad[a] + pad[a + 2] <= dilation[a] * (kernel[a] - 1)) {
                        continue;
                    }
                    let geometry = options(&kernel, &stride, &dilation, &[0, 0], mode);
                    let o = ConvolutionOptions { padding: pad.to_vec(), ..geometry };
                    let shape = [2, 3, kernel[0], kernel[1]];
                    let weights = kernels(shape, &mut random);
                    let (name, weight) = &weights[checked % weights.len()];
                    let (matrix, rows, cols) = dense(weight, shape, &o, size);
                    let norm = spectral_norm_upper(&matrix, rows, cols).unwrap() / (1.0 + REFERENCE);
                    let (bound, same) = on_torus(weight, shape, &on(&size, o.clone()), Side::Inputs);
                    let (other, _) = on_torus(weight, shape, &on(&size, o.clone()), Side::Outputs);
                    assert!(bound >= norm && other >= norm, "{name} {o:?} on {size:?}: {bound} {other}, norm {norm}");
                    assert!((bound / other - 1.0).abs() < 2e-4, "{name} {o:?} on {size:?}: {bound}, not {other}");
                    assert!(!same || bound <= TIGHT * norm, "{name} {o:?} on {size:?}: {bound}, norm {norm}");
                    let axes = <[Axis; 2]>::try_from(on(&size, o.clone()).axes().unwrap()).unwrap();
                    let of_kernel = Kernel::of(weight, shape[0], shape[1], kernel).unwrap();
                    for torus in Torus::correlated(&of_kernel, &axes, f64::INFINITY) {
                        let correlated = torus.correlations_upper(1e100).sqrt() * of_kernel.scale;
                        assert!(
                            correlated >= norm,
                            "{name} {o:?} on {size:?}: {correlated} by correlations, norm {norm}"
                        );
                        near += usize::from(correlated <= 1.01 * norm);
                    }
                    for side in [Side::Inputs, Side::Outputs] {
                        let (any, _) = on_torus(weight, shape, &o, side);
                        assert!(any >= norm, "{name} {o:?}: {any} for every size, norm {norm} on {size:?}");
                    }
                    (checked, exact) = (checked + 1, exact + usize::from(same));
                }
            }
        }
    }
    assert!(
        checked > 280 && exact > 10 && near > 10,
        "{checked} geometries, {exact} exact, {near} near by correlations"
    );
}

#[test]
fn for_every_size_the_bound_is_near_the_norm_on_large_images() {
    let mut random = Random::new(13);
    // Not square, a stride that shares no factor with the dilation, and one that does.
    for (kernel, stride, dilation) in [(3, 1, 1), (5, 1, 2), (4, 2, 1), (5, 2, 2), (5, 3, 2)] {
        let o = options(&[1, kernel], &[1, stride], &[1, dilation], &[0, 0], PaddingMode::Zeros);
        let shape = [2, 2, 1, kernel];
        for (name, weight) in kernels(shape, &mut random) {
            let (matrix, rows, cols) = dense(&weight, shape, &o, [1, 300]);
            let norm = spectral_norm_upper(&matrix, rows, cols).unwrap() / (1.0 + REFERENCE);
            let bound = conv2d_lipschitz_upper(&weight, &shape, &o).unwrap();
            assert!(bound >= norm && bound <= TIGHT * norm, "{name} {o:?}: {bound}, norm {norm}");
        }
    }
}

#[test]
fn circular_axes_of_whole_strides_are_bounded_for_every_such_size() {
    let mut random = Random::new(19);
    let mut tighter = 0;
    for (kernel, stride, dilation, pad) in [
        ([3, 3], [2, 2], [1, 1], 1),
        ([4, 5], [2, 3], [1, 1], 1),
        ([3, 2], [2, 4], [3, 2], 1),
        ([2, 3], [2, 2], [1, 1], 1),
    ] {
        let o = options(&kernel, &stride, &dilation, &[pad; 2], PaddingMode::Circular);
        let whole = ConvolutionOptions { whole_strides: true, ..o.clone() };
        let shape = [2, 3, kernel[0], kernel[1]];
        for (name, weight) in kernels(shape, &mut random) {
            let bound = conv2d_lipschitz_upper(&weight, &shape, &whole).unwrap();
            for strides in [[1, 1], [2, 3], [6, 4]] {
                let size = [strides[0] * stride[0], strides[1] * stride[1]];
                if (0..2).any(|a| size[a] + 2 * pad <= dilation[a] * (kernel[a] - 1)) {
                    continue;
                }
                let (matrix, rows, cols) = dense(&weight, shape, &o, size);
                let norm = spectral_norm_upper(&matrix, rows, cols).unwrap() / (1.0 + REFERENCE);
                assert!(bound >= norm, "{name} {o:?} on {size:?}: {bound}, norm {norm}");
            }
            tighter += usize::from(bound < 0.75 * conv2d_lipschitz_upper(&weight, &shape, &o).unwrap());
        }
    }
    assert!(tighter > 5, "only {tighter} bounds are below those of all sizes");
}

#[test]
fn a_kernel_that_keeps_norms_has_the_bound_1_by_correlations_however_many_channels_it_has() {
    // Haar's transform of pairs of pixels, then a shift of one of its channels, of each of so many copies; more than can be factorized.
    let r = std::f32::consts::FRAC_1_SQRT_2;
    for copies in [1, 150] {
        let channels = 2 * copies;
        let mut weight = vec![0.0; channels * channels * 9];
        for c in 0..copies {
            let mut put =
                |o: usize, i: usize, tap: usize, x: f32| weight[((2 * c + o) * channels + 2 * c + i) * 9 + tap] = x;
            for (o, i, tap, x) in [(0, 0, 4, r), (0, 1, 4, r), (1, 0, 2, r), (1, 1, 2, -r)] {
                put(o, i, tap, x);
            }
        }
        let o = options(&[3, 3], &[1, 1], &[1, 1], &[1, 1], PaddingMode::Zeros);
        let bound = conv2d_lipschitz_upper(&weight, &[channels, channels, 3, 3], &o).unwrap();
        assert!((1.0 - 1e-6..1.0 + 1e-6).contains(&bound), "{channels} channels: {bound}");
    }
}

#[test]
fn a_gain_bounds_convolutions_by_parts_of_the_taps_which_the_norm_of_the_whole_does_not() {
    // On an image of one pixel all taps meet: 10000 - 9999.
    for mode in [PaddingMode::Replicate, PaddingMode::Circular, PaddingMode::Symmetric] {
        let o = on(
            &[1, 1],
            ConvolutionOptions { padding: vec![0, 0, 0, 1], ..options(&[1, 2], &[1, 1], &[1, 1], &[0, 0], mode) },
        );
        let norm = |weight: [f32; 2]| conv2d_lipschitz_upper(&weight, &[1, 1, 1, 2], &o).unwrap();
        let gain = conv2d_gain_upper(&[1e4, -9999.0], &[1, 1, 1, 2], &o).unwrap();
        assert!((1.0..1.005).contains(&norm([1e4, -9999.0])), "{mode:?}: {}", norm([1e4, -9999.0]));
        assert!(gain >= norm([1e4, 0.0]) && norm([1e4, 0.0]) >= 1e4, "{mode:?}: {gain}");
    }
    let mut random = Random::new(17);
    for round in 0..40 {
        let mode = MODES[round % 5];
        let o = on(&[4, 5], options(&[3, 2], &[1 + round % 2, 1], &[1, 1], &[1, 1], mode));
        let shape = [2, 2, 3, 2];
        let weights = kernels(shape, &mut random);
        let weight = &weights[round % weights.len()].1;
        let gain = conv2d_gain_upper(weight, &shape, &o).unwrap();
        for _ in 0..8 {
            let some: Vec<bool> = (0..12).map(|_| random.number() > 0.0).collect();
            let part: Vec<f32> = weight.iter().enumerate().map(|(i, w)| if some[i % 12] { *w } else { 0.0 }).collect();
            let (matrix, rows, cols) = dense(&part, shape, &o, [4, 5]);
            let norm = spectral_norm_upper(&matrix, rows, cols).unwrap() / (1.0 + REFERENCE);
            assert!(gain >= norm, "{o:?}: {gain:e}, of a part {norm:e}");
        }
    }
}

#[test]
fn zero_kernels_and_windows_that_read_padding_alone_have_no_norm_to_speak_of() {
    let o = options(&[3, 3], &[1, 1], &[1, 1], &[1, 1], PaddingMode::Zeros);
    assert_eq!(conv2d_lipschitz_upper(&[0.0; 9], &[1, 1, 3, 3], &o), Ok(0.0));
    assert_eq!(conv2d_lipschitz_upper(&[-0.0; 9], &[1, 1, 3, 3], &on(&[4, 4], o)), Ok(0.0));
    // A single window, of which the only tap that is not zero reads padding.
    let o = on(&[2, 2], options(&[3, 3], &[4, 4], &[1, 1], &[1, 1], PaddingMode::Zeros));
    let mut corner = [0.0; 9];
    corner[0] = 1.0;
    let bound = conv2d_lipschitz_upper(&corner, &[1, 1, 3, 3], &o).unwrap();
    assert!(bound <= 1e-6, "{bound}");
}
