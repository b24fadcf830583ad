//! The bound of every geometry of a grid, on images of one size, against the norm of the convolution or of its adjoint written out.
use super::tests::{MODES, dense, on, options};
use super::*;
use crate::norm::spectral_norm_upper;
use crate::test_support::Random;
use crate::torus::tests::{REFERENCE, kernels};

/// How far the bound may be above the norm.
const TIGHT: f64 = 1.0006;
/// Where the norm is zero, as windows read padding alone or taps cancel: what the bound may be of the gain. Proofs start above 0.
const NOTHING: f64 = 1e-4;

/// What the bounds of a grid came to.
#[derive(Debug, Default)]
struct Seen {
    checked: usize,
    /// The largest of bound over norm.
    worst: f64,
    /// Norms that are zero.
    zero: usize,
}

impl Seen {
    /// Holds the bound of a convolution on images of `size` against the norm of a matrix, and counts it.
    fn check(
        &mut self,
        weight: &[f32],
        shape: &[usize],
        o: &ConvolutionOptions,
        (matrix, rows, cols): (Vec<f32>, usize, usize),
    ) {
        let norm = spectral_norm_upper(&matrix, rows, cols).unwrap() / (1.0 + REFERENCE);
        let bound = conv2d_lipschitz_upper(weight, shape, o).unwrap();
        let gain = conv2d_gain_upper(weight, shape, o).unwrap();
        assert!(gain >= bound && bound >= norm, "{o:?} {shape:?}: gain {gain:e}, bound {bound:e}, norm {norm:e}");
        self.checked += 1;
        if norm == 0.0 {
            self.zero += 1;
            assert!(bound <= NOTHING * gain, "{o:?} {shape:?}: {bound:e} of a norm of 0");
        } else {
            self.worst = self.worst.max(bound / norm);
            assert!(bound <= TIGHT * norm, "{o:?} {shape:?}: bound {bound}, norm {norm}, ratio {}", bound / norm);
        }
    }

    /// A weight of one of the kinds that are hard on bounds.
    fn weight(&self, shape: [usize; 4], random: &mut Random) -> Vec<f32> {
        let mut kinds = kernels(shape, random);
        let kind = self.checked % kinds.len();
        kinds.swap_remove(kind).1
    }
}

/// The second size beside each first one from 1 to 16: each is met once.
fn beside(size: usize) -> usize {
    size * 7 % 17
}

#[test]
fn convolutions_of_images_are_bounded_tightly_on_every_geometry_of_a_grid() {
    let (mut seen, mut random) = (Seen::default(), Random::new(31));
    for kernel in 1..=5 {
        for (stride, dilation, groups) in triples(2) {
            for pad in [[0, 0, 0, 0], [1, 1, 1, 1], [dilation * (kernel - 1), 0, 1, kernel]] {
                for mode in MODES {
                    for size in (1..=16).map(|n| [n, beside(n)]) {
                        let geometry = options(&[kernel; 2], &[stride; 2], &[dilation; 2], &[0; 2], mode);
                        let o = on(&size, ConvolutionOptions { groups, padding: pad.to_vec(), ..geometry });
                        let axes = o.axes().unwrap();
                        if axes.iter().any(|axis| overlap(axis).is_err()) {
                            continue;
                        }
                        let shape = [2 * groups, 1 + seen.checked % 2, kernel, kernel];
                        let weight = seen.weight(shape, &mut random);
                        seen.check(&weight, &shape, &o, dense(&weight, shape, &o, size));
                    }
                }
            }
        }
    }
    assert!(seen.checked > 7000 && seen.worst > 1.0 && seen.zero < 100, "{seen:?}");
}

#[test]
fn convolutions_of_sequences_are_bounded_tightly_on_every_geometry_of_a_grid() {
    let (mut seen, mut random) = (Seen::default(), Random::new(32));
    for kernel in 1..=5 {
        for (stride, dilation, groups) in triples(2) {
            for pad in [[0, 0], [1, 1], [dilation * (kernel - 1), 0], [1, kernel]] {
                for mode in MODES {
                    for size in 1..=16 {
                        let geometry = options(&[kernel], &[stride], &[dilation], &[0], mode);
                        let o = on(&[size], ConvolutionOptions { groups, padding: pad.to_vec(), ..geometry });
                        if overlap(&o.axes().unwrap()[0]).is_err() {
                            continue;
                        }
                        let shape = [2 * groups, 1 + seen.checked % 3, 1, kernel];
                        let weight = seen.weight(shape, &mut random);
                        let row = |of: &[usize], one: usize| [&[one][..], of].concat();
                        let image = ConvolutionOptions {
                            kernel_size: row(&o.kernel_size, 1),
                            stride: row(&o.stride, 1),
                            dilation: row(&o.dilation, 1),
                            padding: vec![0, pad[0], 0, pad[1]],
                            ..o.clone()
                        };
                        let matrix = dense(&weight, shape, &image, [1, size]);
                        seen.check(&weight, &[shape[0], shape[1], kernel], &o, matrix);
                    }
                }
            }
        }
    }
    assert!(seen.checked > 10_000 && seen.worst > 1.0 && seen.zero < 100, "{seen:?}");
}

#[test]
fn transposed_convolutions_are_bounded_tightly_on_every_geometry_of_a_grid() {
    let (mut seen, mut random) = (Seen::default(), Random::new(33));
    for kernel in 1..=5 {
        for (stride, dilation, groups) in triples(3) {
            for (pad, more) in (0..=2).flat_map(|pad| (0..stride).map(move |more| (pad, more))) {
                for image in (1..=5).map(|n| [n, 1 + (n + kernel + pad) % 5]) {
                    // Of the convolution whose adjoint it is, the image is what comes out.
                    let size =
                        image.map(|n| ((n - 1) * stride + dilation * (kernel - 1) + more + 1).saturating_sub(2 * pad));
                    if size.contains(&0) {
                        continue;
                    }
                    let geometry = options(&[kernel; 2], &[stride; 2], &[dilation; 2], &[pad; 2], PaddingMode::Zeros);
                    let o = on(&size, ConvolutionOptions { groups, ..geometry });
                    let shape = [2 * groups, 1 + seen.checked % 2, kernel, kernel];
                    let weight = seen.weight(shape, &mut random);
                    seen.check(&weight, &shape, &o, transposed(&weight, shape, &o, image, size));
                }
            }
        }
    }
    assert!(seen.checked > 1500 && seen.worst > 1.0 && seen.zero < 100, "{seen:?}");
}

/// Strides up to `most`, dilations and groups.
fn triples(most: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (1..=most).flat_map(|stride| [(stride, 1, 1), (stride, 1, 2), (stride, 2, 1), (stride, 2, 2)])
}

/// The transposed convolution of one image as a matrix `[out * h * w, in * ih * iw]`: each pixel puts the kernel where it stands.
fn transposed(
    weight: &[f32],
    [inputs, outputs, kh, kw]: [usize; 4],
    o: &ConvolutionOptions,
    image: [usize; 2],
    size: [usize; 2],
) -> (Vec<f32>, usize, usize) {
    let (rows, cols) = (outputs * o.groups * size[0] * size[1], inputs * image[0] * image[1]);
    let mut matrix = vec![0.0; rows * cols];
    for (at, w) in weight.iter().enumerate() {
        let (ci, co, i, j) = (at / (outputs * kh * kw), at / (kh * kw) % outputs, at / kw % kh, at % kw);
        let channel = ci / (inputs / o.groups) * outputs + co;
        for (y, x) in (0..image[0]).flat_map(|y| (0..image[1]).map(move |x| (y, x))) {
            let to = |axis: usize, pixel: usize, tap: usize| {
                let position = pixel * o.stride[axis] + tap * o.dilation[axis];
                position.checked_sub(o.padding[axis]).filter(|&p| p < size[axis])
            };
            if let (Some(r), Some(c)) = (to(0, y, i), to(1, x, j)) {
                matrix[((channel * size[0] + r) * size[1] + c) * cols + (ci * image[0] + y) * image[1] + x] += w;
            }
        }
    }
    (matrix, rows, cols)
}
