//! All results of a layer are summed in one order: what a certificate takes off for rounding rests on it.
//!
//! Every result is given the same terms, of very different magnitudes, so that another order would round differently.
use std::collections::HashMap;
use tslip_cpu::kernels::conv2d::{ConvShape, forward, forward_scratch};
use tslip_cpu::kernels::gemm::{Gemm, gemm, gemm_nt};
use tslip_cpu::kernels::parallel::gemm_parallel;
use tslip_cpu::simd::Level;

mod common;
use common::noise;

/// Numbers of both signs and of magnitudes from 1e-3 to 1e3.
fn uneven(seed: u64, len: usize) -> Vec<f32> {
    let exponents = noise(seed + 1000, len);
    noise(seed, len).iter().zip(exponents).map(|(v, e)| v * (10.0 * e).exp2()).collect()
}

#[test]
fn every_entry_of_a_product_is_summed_in_one_order() {
    let terms = [1, 5, 64, 255, 256, 257, 600, 1568];
    let extents = [[1, 1], [1, 10], [1, 64], [2, 70], [3, 33], [7, 10], [28, 130], [29, 200], [113, 290]];
    for k in terms {
        let (row, column) = (uneven(1, k), uneven(2, k));
        for [m, n] in extents {
            let a = row.repeat(m);
            let b: Vec<f32> = column.iter().flat_map(|&v| std::iter::repeat_n(v, n)).collect();
            let b_transposed = column.repeat(n);
            for level in Level::available() {
                let multiply = |what: &str, b: &[f32], b_row_stride: usize, run: fn(Level, Gemm<'_>)| {
                    let mut c = vec![f32::NAN; m * n];
                    let (a, a_strides) = (&a[..], (k, 1));
                    let c_row_stride = n;
                    let accumulate = false;
                    run(level, Gemm { m, n, k, a, a_strides, b, b_row_stride, c: &mut c, c_row_stride, accumulate });
                    assert!(c.iter().all(|v| v.to_bits() == c[0].to_bits()), "{what} at {level:?}: {m}x{n}x{k}");
                };
                multiply("gemm", &b, n, gemm);
                multiply("gemm_nt", &b_transposed, k, gemm_nt);
                multiply("gemm_parallel", &b, n, gemm_parallel);
            }
        }
    }
}

/// Images of `channels` values each, which are the same at all pixels of a rectangle and 0 outside of it.
fn rectangles(s: &ConvShape, values: &[f32], insets: &[[usize; 4]]) -> Vec<f32> {
    let mut x = vec![0.0; s.n * s.h * s.w * s.cin];
    for (image, &[top, left, bottom, right]) in x.chunks_exact_mut(s.h * s.w * s.cin).zip(insets) {
        for (y, row) in image.chunks_exact_mut(s.w * s.cin).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(s.cin).enumerate() {
                if y >= top && x >= left && y + bottom < s.h && x + right < s.w {
                    pixel.copy_from_slice(&values.repeat(s.groups));
                }
            }
        }
    }
    x
}

#[test]
fn every_pixel_of_a_convolution_is_summed_in_one_order() {
    let base = ConvShape {
        n: 3,
        h: 14,
        w: 17,
        cin: 3,
        cout: 5,
        kh: 3,
        kw: 3,
        stride: [1, 1],
        padding: [1; 4],
        dilation: [1, 1],
        groups: 1,
    };
    let shapes = [
        base,
        ConvShape { h: 28, w: 28, cin: 1, cout: 16, ..base },
        ConvShape { h: 14, w: 14, cin: 16, cout: 32, ..base },
        ConvShape { h: 14, w: 14, cin: 17, cout: 33, ..base },
        ConvShape { h: 9, w: 33, cin: 5, cout: 70, kh: 5, kw: 5, padding: [2; 4], ..base },
        ConvShape { h: 16, w: 16, cin: 9, cout: 33, kh: 5, kw: 5, padding: [2; 4], stride: [2, 2], ..base },
        ConvShape { cin: 64, cout: 65, kh: 1, padding: [0, 1, 0, 1], ..base },
        ConvShape { cin: 8, cout: 12, dilation: [2, 2], padding: [2; 4], ..base },
        ConvShape { cin: 7, cout: 6, kh: 1, kw: 1, padding: [0; 4], stride: [2, 2], ..base },
        ConvShape { cin: 12, cout: 6, groups: 3, stride: [2, 1], dilation: [2, 2], padding: [3, 2, 4, 0], ..base },
        ConvShape { cin: 6, cout: 18, groups: 3, ..base },
        ConvShape { h: 8, w: 8, cin: 256, cout: 64, ..base },
        ConvShape { cin: 7, cout: 5, kh: 7, kw: 7, padding: [3; 4], stride: [3, 4], ..base },
    ];
    for s in shapes {
        let (ci, taps) = (s.cin / s.groups, s.kh * s.kw);
        let insets = [[0; 4], [4, 4, 0, 0], [0, 0, 4, 4]];
        let x = rectangles(&s, &uneven(1, ci), &insets);
        let w: Vec<f32> = uneven(2, taps * ci).iter().flat_map(|&v| std::iter::repeat_n(v, s.cout)).collect();
        let bias = vec![3.75; s.cout];
        for level in Level::available() {
            for start in [None, Some(&bias[..])] {
                let mut y = vec![f32::NAN; s.n * s.out_h() * s.out_w() * s.cout];
                forward(level, &s, &x, &w, start, &mut y, &mut vec![f32::NAN; forward_scratch(&s)]);
                let mut by_taps: HashMap<Vec<bool>, u32> = HashMap::new();
                for (place, pixel) in y.chunks_exact(s.cout).enumerate() {
                    let (n, oy, ox) = (place / s.out_w() / s.out_h(), place / s.out_w() % s.out_h(), place % s.out_w());
                    let [top, left, bottom, right] = insets[n];
                    let read = |tap: usize| {
                        let y = (oy * s.stride[0] + tap / s.kw * s.dilation[0]).wrapping_sub(s.padding[0]);
                        let x = (ox * s.stride[1] + tap % s.kw * s.dilation[1]).wrapping_sub(s.padding[1]);
                        (top..s.h - bottom).contains(&y) && (left..s.w - right).contains(&x)
                    };
                    let sum = *by_taps.entry((0..taps).map(read).collect()).or_insert(pixel[0].to_bits());
                    let same = pixel.iter().all(|v| v.to_bits() == sum);
                    assert!(same, "{level:?} {s:?}: image {n}, pixel [{oy}, {ox}]");
                }
            }
        }
    }
}
