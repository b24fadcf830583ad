//! Windows of one pixel and of the whole image, gaps and overlaps, ties, all-zero windows and the ends of the range.
use serde_json::{Value, json};
use tslip_graph::DType;

use crate::testing::case::{Case, FUNCTION, Input, SUMMED, case, integers, normal, spaced, uniform, values};

/// Extents of the image, kernel and stride.
const GEOMETRIES: [([usize; 4], [usize; 2], [usize; 2]); 9] = [
    ([1, 1, 1, 1], [1, 1], [1, 1]),
    ([3, 2, 4, 6], [2, 2], [2, 2]),
    ([2, 9, 5, 5], [2, 2], [2, 2]),
    ([2, 33, 2, 4], [2, 2], [2, 2]),
    ([2, 3, 7, 8], [2, 3], [3, 4]),
    ([2, 3, 5, 6], [3, 2], [1, 1]),
    ([4, 1, 5, 5], [3, 3], [2, 2]),
    ([2, 5, 3, 4], [3, 4], [1, 1]),
    ([0, 3, 4, 4], [2, 2], [2, 2]),
];

fn pooled(x: [usize; 4], kernel: [usize; 2], stride: [usize; 2]) -> [usize; 4] {
    [x[0], x[1], (x[2] - kernel[0]) / stride[0] + 1, (x[3] - kernel[1]) / stride[1] + 1]
}

fn attributes(kernel: [usize; 2], stride: [usize; 2]) -> Value {
    json!({ "kernel": kernel, "stride": stride })
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (x, kernel, stride) in GEOMETRIES {
        let (window, y) = (attributes(kernel, stride), pooled(x, kernel, stride));
        let mut spread = window.clone();
        spread["inputSize"] = json!([x[2], x[3]]);
        all.push(case("window_sum2d", window.clone(), [normal(&x)]).within(SUMMED));
        all.push(case("window_spread2d", spread.clone(), [normal(&y)]).within(SUMMED));
        all.push(case("window_argmax2d", window.clone(), [normal(&x)]).not_smooth());
        all.push(case("window_argmax2d", window.clone(), [integers(&x, -1, 2).of(DType::F32)]).not_smooth());
        // Some of them outside of the window.
        let taps = integers(&y, -1, (kernel[0] * kernel[1]) as i64 + 1);
        all.push(case("window_take2d", window.clone(), [normal(&x), taps.clone()]));
        all.push(case("window_put2d", spread, [normal(&y), taps]).within(SUMMED));
        // Away from zero, where the norm has a kink and large third derivatives.
        all.push(case("l2_norm_pool2d", window.clone(), [uniform(&x, 0.5, 2.0)]).within(FUNCTION));
        all.push(case("l2_norm_pool2d", window.clone(), [normal(&x)]).within(FUNCTION).not_smooth());
        let operands = [normal(&x), uniform(&y, 0.5, 2.0), normal(&y)];
        all.push(case("l2_norm_pool2d_grad", window, operands).within(SUMMED));
    }
    [all, corners(), sorted()].concat()
}

/// A window over sorted pairs of channels, which are last.
fn sorted() -> Vec<Case> {
    let mut all = Vec::new();
    for ([n, c, h, w], kernel, stride) in GEOMETRIES {
        let [_, _, rows, columns] = pooled([n, c, h, w], kernel, stride);
        let (x, y) = ([n, h, w, 2 * c], [n, rows, columns, 2 * c]);
        let mut window = attributes(kernel, stride);
        window["layout"] = json!("nhwc");
        // The square root has large third derivatives near zero; `spaced` keeps away from ties too.
        all.push(case("sorted_l2_norm_pool2d", window.clone(), [spaced(&x)]).within(FUNCTION));
        all.push(case("sorted_l2_norm_pool2d", window.clone(), [normal(&x)]).within(FUNCTION).not_smooth());
        let operands = [spaced(&x), uniform(&y, 0.5, 2.0), normal(&y)];
        all.push(case("sorted_l2_norm_pool2d_grad", window.clone(), operands).within(SUMMED));
        let ties = integers(&x, -1, 2).of(DType::F32);
        let operands = [ties.clone(), uniform(&y, 0.5, 2.0), normal(&y)];
        all.push(case("sorted_l2_norm_pool2d", window.clone(), [ties]).within(FUNCTION).not_smooth());
        all.push(case("sorted_l2_norm_pool2d_grad", window, operands).within(SUMMED).not_smooth());
    }
    all
}

/// Values that break careless formulas, each filling windows of its own and mixed with others.
fn corners() -> Vec<Case> {
    let window = attributes([2, 2], [2, 2]);
    let (infinite, tiny) = (f64::INFINITY, 1e-45);
    let windows: [[f64; 4]; 12] = [
        [0.0, 0.0, 0.0, 0.0],
        [-0.0, 0.0, -0.0, 0.0],
        [3.0, 3.0, 3.0, 3.0],
        [1e30, 1e30, -1e30, 1e30],
        [1e30, 1.0, 0.0, 1e-30],
        [1e-30, -1e-30, 1e-30, 0.0],
        [tiny, 0.0, 0.0, 0.0],
        [1e-40, -1e-41, tiny, 0.0],
        [3e38, -3e38, 3e38, 3e38],
        [infinite, 1.0, -infinite, 0.0],
        [f64::NAN, 1.0, 0.0, 0.0],
        [f64::NAN, infinite, 0.0, 0.0],
    ];
    // A row of windows.
    let (top, bottom): (Vec<f64>, Vec<f64>) = windows.iter().fold(Default::default(), |(mut top, mut bottom), w| {
        top.extend(&w[..2]);
        bottom.extend(&w[2..]);
        (top, bottom)
    });
    let columns = top.len();
    let row = values(&[1, 1, 2, columns], &[top, bottom].concat());
    // The same as channels, which lie side by side in a register.
    let channels = values(&[1, windows.len(), 2, 2], &windows.concat());
    let norms = |w: &[f64; 4]| f64::from(w.iter().map(|v| v * v).sum::<f64>().sqrt() as f32);
    let norms: Vec<f64> = windows.iter().map(norms).collect();
    let mut all: Vec<Case> = [row, channels.clone()]
        .into_iter()
        .flat_map(|x| {
            let norm = case("l2_norm_pool2d", window.clone(), [x.clone()]).within(FUNCTION);
            [norm, case("window_argmax2d", window.clone(), [x])].map(Case::not_smooth)
        })
        .collect();
    for cotangent in [1.0, 0.0, 1e30, 1e-30] {
        let shape = [1, windows.len(), 1, 1];
        let dy: Input = values(&shape, &vec![cotangent; windows.len()]);
        let operands = [channels.clone(), values(&shape, &norms), dy];
        all.push(case("l2_norm_pool2d_grad", window.clone(), operands).within(FUNCTION).not_smooth());
    }
    all
}
