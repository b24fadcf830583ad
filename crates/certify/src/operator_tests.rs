//! The Gram matrix of a convolution on an image, on either side and with either axis outside, against the convolution written out.
use super::*;
use crate::axis::PaddingMode;
use crate::convolution::tests::{MODES, dense, on, options};
use crate::norm::spectral_norm_upper;
use crate::test_support::Random;

#[test]
fn both_sides_and_both_orders_of_the_axes_have_the_norm_of_the_convolution_written_out() {
    let mut random = Random::new(3);
    let (mut checked, mut folded) = (0, 0);
    for mode in MODES {
        for (kernel, stride, dilation, pad) in [
            ([3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
            ([2, 3], [2, 1], [1, 2], [0, 2, 1, 1]),
            ([1, 4], [1, 3], [1, 1], [0, 3, 0, 0]),
            ([3, 2], [1, 2], [2, 1], [3, 0, 2, 1]),
        ] {
            let size = [6, 5 + checked % 3];
            let geometry = options(&kernel, &stride, &dilation, &[0, 0], mode);
            let o = on(&size, crate::ConvolutionOptions { padding: pad.to_vec(), ..geometry });
            let shape = [2, 3, kernel[0], kernel[1]];
            // Of few bits, so that the reference adds copies up exactly.
            let weight: Vec<f32> =
                (0..6 * kernel[0] * kernel[1]).map(|_| (random.number() * 256.0).round() / 256.0).collect();
            let (matrix, rows, cols) = dense(&weight, shape, &o, size);
            let norm = spectral_norm_upper(&matrix, rows, cols).unwrap();
            let axes = <[Axis; 2]>::try_from(o.axes().unwrap()).unwrap();
            let kernel = Kernel::of(&weight, 2, 3, kernel).unwrap();
            for side in [Side::Inputs, Side::Outputs] {
                for slow in [0, 1] {
                    let sites = [0, 1].map(|a| Sites::of(&axes[a], size[a], side));
                    let channels = kernel.channels(side);
                    let width = (sites[slow].reach * sites[1 - slow].indices + sites[1 - slow].reach + 1) * channels;
                    let operator = Operator { kernel: &kernel, side, sites, slow, width };
                    let ratio = operator.squared_norm_upper(1e100).sqrt() * kernel.scale / norm;
                    assert!((1.0 - 1e-9..1.001).contains(&ratio), "{side:?} {slow} {o:?}: {ratio}");
                    checked += 1;
                }
            }
        }
        // Copies from the other end of an axis are near in an order that starts at both.
        let axis =
            Axis { kernel: 3, stride: 1, dilation: 1, padding: (1, 1), mode, size: Some(30), whole_strides: false };
        let reach = Sites::of(&axis, 30, Side::Inputs).reach;
        assert!(reach <= if mode == PaddingMode::Circular { 4 } else { 2 }, "{mode:?}: {reach}");
        folded += usize::from(reach > 2);
    }
    assert_eq!((checked, folded), (80, 1));
}

#[test]
fn what_costs_too_much_is_left_to_other_bounds() {
    let weight = vec![1.0; 64 * 64 * 9];
    let kernel = Kernel::of(&weight, 64, 64, [3, 3]).unwrap();
    let axis = |size| Axis {
        kernel: 3,
        stride: 1,
        dilation: 1,
        padding: (1, 1),
        mode: PaddingMode::Zeros,
        size,
        whole_strides: false,
    };
    let affordable = |n| Operator::affordable(&kernel, &[axis(Some(n)), axis(Some(n))]).is_some();
    assert!(affordable(4) && !affordable(64) && !affordable(1 << 40));
    assert!(Operator::affordable(&kernel, &[axis(None), axis(Some(4))]).is_none());
}
