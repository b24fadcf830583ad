//! Bounds of convolutions against their norms: of the convolution written out as a matrix on each image, and of partial sums.
use super::*;
use crate::convolution::tests::{dense, on, options};
use crate::convolution::{ConvolutionOptions, conv2d_gain_upper, conv2d_lipschitz_upper};
use crate::norm::spectral_norm_upper;
use crate::test_support::Random;

const MODES: [PaddingMode; 5] =
    [PaddingMode::Zeros, PaddingMode::Circular, PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Symmetric];

/// What is promised at the size in use.
const TIGHT: f64 = 1.005;
/// The reference norm is itself a bound, at most so much above the norm.
const REFERENCE: f64 = 1e-9;

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
fn kernels(shape: [usize; 4], random: &mut Random) -> Vec<(&'static str, Vec<f32>)> {
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
        ("difference", of(&|o, c, i, j| if (i, j) == (0, 0) { 1e4 } else if i + j == 1 { -1e4 } else { (o + 2 * c) as f32 })),
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
    assert!(checked > 400, "{checked} geometries");
    println!("{checked} {worst}");
}
