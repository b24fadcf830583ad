//! Extents and strides whose products overflow to what would fit: kernels refuse them instead of leaving their slices.
use std::panic::{AssertUnwindSafe, catch_unwind};
use tslip_cpu::kernels::conv2d::{ConvShape, forward, weight_grad};
use tslip_cpu::kernels::gemm::{Gemm, gemm, gemm_nt};
use tslip_cpu::kernels::pool::{Windows, sum};
use tslip_cpu::kernels::sort::{Groups, group_sort};
use tslip_cpu::kernels::transpose::transpose;
use tslip_cpu::simd::Level;

/// Half of what a number can count: twice this is nothing.
const HALF: usize = 1 << (usize::BITS - 1);

fn refused(what: &str, mut run: impl FnMut(Level)) {
    for level in Level::available() {
        assert!(catch_unwind(AssertUnwindSafe(|| run(level))).is_err(), "{what} at {level:?}");
    }
}

#[test]
fn strides_of_products_that_overflow_are_refused() {
    let (a, b) = ([1.0; 64], [1.0; 64]);
    let [m, n, k] = [3, 4, 3];
    // Row, step and row again: of A down and along, of B, of C.
    for place in 0..4 {
        let strides: [usize; 4] = std::array::from_fn(|i| if i == place { HALF } else { 4 });
        for of in [gemm, gemm_nt] {
            refused(&format!("stride {place}"), |level| {
                let mut c = [0.0; 64];
                let (a_strides, b_row_stride, c_row_stride) = ((strides[0], strides[1]), strides[2], strides[3]);
                let c = &mut c;
                of(level, Gemm { m, n, k, a: &a, a_strides, b: &b, b_row_stride, c, c_row_stride, accumulate: false });
            });
        }
    }
    refused("a transpose from rows too far apart", |level| transpose(level, [3, 4], &a, HALF, &mut [0.0; 64], 3));
    refused("a transpose to rows too far apart", |level| transpose(level, [3, 3], &a, 3, &mut [0.0; 64], HALF));
}

#[test]
fn extents_that_overflow_are_refused() {
    for size in [2, 4, 16] {
        let groups = Groups { outer: HALF, size, stride: 1 };
        refused("groups", |level| group_sort(level, &groups, &[], &mut [], &mut [0.0; 4096]));
    }
    let windows = Windows { outer: HALF, h: 2, w: 2, inner: 4, kernel: [2, 2], stride: [2, 2] };
    refused("windows", |level| sum(level, &windows, &[], &mut []));
}

#[test]
fn what_is_no_convolution_is_refused() {
    let base = ConvShape {
        n: 1,
        h: 4,
        w: 4,
        cin: 2,
        cout: 2,
        kh: 3,
        kw: 3,
        stride: [1, 1],
        padding: [1; 4],
        dilation: [1, 1],
        groups: 1,
    };
    let far = 1 << (usize::BITS / 2);
    for s in [
        ConvShape { h: 0, ..base },
        ConvShape { cin: 0, ..base },
        ConvShape { kw: 0, ..base },
        ConvShape { stride: [1, 0], ..base },
        ConvShape { dilation: [0, 1], ..base },
        ConvShape { groups: 0, ..base },
        ConvShape { groups: 3, ..base },
        ConvShape { kh: 7, ..base },
        ConvShape { dilation: [HALF, 1], ..base },
        ConvShape { padding: [HALF, 1, HALF, 1], ..base },
        ConvShape { h: far, w: far, ..base },
        ConvShape { cin: far, cout: far, ..base },
        ConvShape { n: HALF, ..base },
    ] {
        refused(&format!("{s:?}"), |level| {
            forward(level, &s, &[0.0; 64], &[0.0; 64], None, &mut [0.0; 64], &mut [0.0; 128])
        });
        refused(&format!("{s:?}"), |level| {
            weight_grad(level, &s, &[0.0; 64], &[0.0; 64], &mut [0.0; 64], &mut [0.0; 128])
        });
    }
}
