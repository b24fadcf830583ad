//! Convolution kernels at every level against their definition in f64.
use tslip_cpu::kernels::conv2d::{
    ConvShape, forward, forward_scratch, input_grad, input_grad_scratch, weight_grad, weight_grad_scratch,
};
use tslip_cpu::simd::Level;

mod common;
use common::noise;

/// f32 sums of a few hundred products of numbers near 1.
const TOLERANCE: f64 = 2e-5;

/// Calls `tap(y, x, w)` with flat NHWC and HWIO indices for every product of the definition.
fn each_tap(s: &ConvShape, mut tap: impl FnMut(usize, usize, usize)) {
    let (ci, co, oh, ow) = (s.cin / s.groups, s.cout / s.groups, s.out_h(), s.out_w());
    for n in 0..s.n {
        for (oy, ox, o) in (0..oh * ow * s.cout).map(|i| (i / s.cout / ow, i / s.cout % ow, i % s.cout)) {
            for (ky, kx, i) in (0..s.kh * s.kw * ci).map(|k| (k / ci / s.kw, k / ci % s.kw, k % ci)) {
                let y = (oy * s.stride[0] + ky * s.dilation[0]).wrapping_sub(s.padding[0]);
                let x = (ox * s.stride[1] + kx * s.dilation[1]).wrapping_sub(s.padding[1]);
                if y < s.h && x < s.w {
                    let at_x = ((n * s.h + y) * s.w + x) * s.cin + o / co * ci + i;
                    tap(((n * oh + oy) * ow + ox) * s.cout + o, at_x, ((ky * s.kw + kx) * ci + i) * s.cout + o);
                }
            }
        }
    }
}

fn close(got: &[f32], want: &[f64], what: &str) {
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(g) - w).abs() <= TOLERANCE * (1.0 + w.abs()), "{what}[{i}]: {g} instead of {w}");
    }
}

fn shapes() -> Vec<ConvShape> {
    let base = ConvShape {
        n: 2,
        h: 7,
        w: 9,
        cin: 3,
        cout: 5,
        kh: 3,
        kw: 3,
        stride: [1, 1],
        padding: [1; 4],
        dilation: [1, 1],
        groups: 1,
    };
    vec![
        base,
        ConvShape { n: 1, h: 28, w: 28, cin: 1, cout: 16, ..base },
        ConvShape { n: 3, h: 14, w: 14, cin: 16, cout: 32, ..base },
        ConvShape { h: 1, w: 1, kh: 1, kw: 1, padding: [0; 4], ..base },
        ConvShape { stride: [2, 3], padding: [1, 0, 2, 1], ..base },
        ConvShape { stride: [2, 2], h: 8, w: 8, padding: [0; 4], ..base },
        ConvShape { dilation: [2, 1], padding: [2, 1, 2, 1], ..base },
        ConvShape { dilation: [1, 3], w: 12, ..base },
        ConvShape { cin: 6, cout: 9, groups: 3, ..base },
        ConvShape { cin: 33, cout: 33, kh: 5, kw: 1, padding: [2, 0, 2, 0], ..base },
        ConvShape { padding: [4, 5, 3, 6], ..base },
        ConvShape { kh: 2, kw: 4, padding: [0, 1, 1, 2], ..base },
        ConvShape { cin: 17, cout: 47, n: 1, ..base },
        ConvShape { cin: 1, cout: 1, padding: [3, 0, 1, 2], ..base },
        ConvShape { cin: 6, cout: 18, dilation: [2, 2], padding: [5; 4], ..base },
        ConvShape { cin: 7, padding: [4, 5, 3, 6], ..base },
        ConvShape { cin: 8, cout: 8, groups: 8, ..base },
        ConvShape { cin: 9, stride: [2, 3], padding: [1, 0, 2, 1], ..base },
        ConvShape { cin: 12, cout: 6, groups: 3, stride: [2, 1], dilation: [2, 2], padding: [3, 2, 4, 0], ..base },
        ConvShape { h: 1, w: 40, cin: 64, cout: 65, kh: 1, ..base },
        ConvShape { n: 1, h: 6, w: 28, cin: 16, cout: 16, padding: [0, 2, 1, 0], ..base },
        ConvShape { h: 5, w: 1, cin: 4, cout: 48, ..base },
        ConvShape { h: 1, w: 1, cin: 4, cout: 20, ..base },
        ConvShape { h: 2, w: 3, cin: 4, cout: 7, kh: 5, kw: 5, padding: [4; 4], ..base },
        ConvShape { h: 9, w: 33, cin: 5, cout: 33, kh: 5, kw: 5, padding: [2; 4], n: 1, ..base },
        ConvShape { h: 9, w: 14, cin: 5, cout: 18, kh: 2, kw: 5, padding: [3, 1, 3, 2], dilation: [2, 1], ..base },
        ConvShape { h: 9, cin: 8, cout: 80, stride: [2, 1], groups: 2, ..base },
        ConvShape { n: 1, h: 16, w: 16, cin: 9, cout: 33, kh: 5, kw: 5, padding: [2; 4], stride: [2, 2], ..base },
        ConvShape { h: 8, w: 8, cin: 7, kh: 4, kw: 4, stride: [2, 2], ..base },
        ConvShape { h: 11, w: 12, cin: 7, kh: 7, kw: 7, padding: [3; 4], stride: [3, 4], ..base },
        ConvShape { cin: 7, kh: 1, kw: 1, padding: [0; 4], stride: [2, 2], ..base },
        ConvShape { cin: 7, kh: 2, kw: 2, padding: [0; 4], stride: [9, 9], ..base },
        ConvShape { h: 12, w: 12, cin: 7, dilation: [2, 4], padding: [2; 4], stride: [4, 2], ..base },
        ConvShape { h: 9, w: 12, cin: 7, dilation: [3, 3], padding: [7, 8, 3, 0], stride: [2, 2], ..base },
        ConvShape { h: 9, w: 12, cin: 14, cout: 6, groups: 2, padding: [7, 8, 3, 5], stride: [2, 3], ..base },
    ]
}

#[test]
fn every_pass_agrees_with_the_definition_at_every_level() {
    for s in shapes() {
        let x = noise(1, s.n * s.h * s.w * s.cin);
        let w = noise(2, s.kh * s.kw * s.cin / s.groups * s.cout);
        let dy = noise(3, s.n * s.out_h() * s.out_w() * s.cout);
        let (mut y64, mut dx64, mut dw64) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![1.0; w.len()]);
        each_tap(&s, |at_y, at_x, at_w| {
            let (xv, wv, dv) = (f64::from(x[at_x]), f64::from(w[at_w]), f64::from(dy[at_y]));
            y64[at_y] += xv * wv;
            dx64[at_x] += dv * wv;
            dw64[at_w] += dv * xv;
        });
        for level in Level::available() {
            let stale = |n: usize| vec![f32::NAN; n];
            let mut y = stale(dy.len());
            forward(level, &s, &x, &w, None, &mut y, &mut stale(forward_scratch(&s)));
            close(&y, &y64, &format!("{level:?} forward {s:?}"));
            let bias = noise(4, s.cout);
            let plus: Vec<f64> = y64.iter().enumerate().map(|(i, &v)| v + f64::from(bias[i % s.cout])).collect();
            forward(level, &s, &x, &w, Some(&bias), &mut y, &mut stale(forward_scratch(&s)));
            close(&y, &plus, &format!("{level:?} forward with bias {s:?}"));
            let mut dx = stale(x.len());
            input_grad(level, &s, &dy, &w, &mut dx, &mut stale(input_grad_scratch(&s)));
            close(&dx, &dx64, &format!("{level:?} input_grad {s:?}"));
            let mut dw = vec![1.0; w.len()];
            weight_grad(level, &s, &x, &dy, &mut dw, &mut stale(weight_grad_scratch(&s)));
            close(&dw, &dw64, &format!("{level:?} weight_grad {s:?}"));
        }
    }
}

#[test]
fn what_is_not_a_number_reaches_what_depends_on_it_and_nothing_else() {
    for s in shapes() {
        let len = [s.n * s.h * s.w * s.cin, s.n * s.out_h() * s.out_w() * s.cout];
        let w = noise(2, s.kh * s.kw * s.cin / s.groups * s.cout);
        let (mut x, mut dy) = (noise(1, len[0]), noise(3, len[1]));
        let (bad_x, bad_y) = (len[0] / 2, len[1] / 2);
        (x[bad_x], dy[bad_y]) = (f32::NAN, f32::NAN);
        let (mut of_x, mut of_dy) = (vec![false; len[1]], vec![false; len[0]]);
        each_tap(&s, |at_y, at_x, _| {
            of_x[at_y] |= at_x == bad_x;
            of_dy[at_x] |= at_y == bad_y;
        });
        for level in Level::available() {
            let (mut y, mut dx) = (vec![0.0; len[1]], vec![0.0; len[0]]);
            forward(level, &s, &x, &w, None, &mut y, &mut vec![0.0; forward_scratch(&s)]);
            let found: Vec<bool> = y.iter().map(|v| v.is_nan()).collect();
            assert_eq!(found, of_x, "{level:?} forward {s:?}");
            input_grad(level, &s, &dy, &w, &mut dx, &mut vec![0.0; input_grad_scratch(&s)]);
            let found: Vec<bool> = dx.iter().map(|v| v.is_nan()).collect();
            assert_eq!(found, of_dy, "{level:?} input_grad {s:?}");
        }
    }
}
