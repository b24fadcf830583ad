//! Convolutions of every shape that arithmetic on extents may get wrong, each with its two adjoints.
use serde_json::json;

use super::operator::Operator;
use super::{Geometry, Layout};
use crate::shape::padding::Mode;
use crate::testing::case::{Case, FUNCTION, SUMMED, Tolerance, case, integers, normal, values};
use tslip_graph::Spec;

/// Extents of x and w, stride, padding, dilation, groups.
type Extents = ([usize; 4], [usize; 4], [usize; 2], [usize; 4], [usize; 2], usize);

const EXTENTS: [Extents; 22] = [
    ([1, 1, 1, 1], [1, 1, 1, 1], [1, 1], [0; 4], [1, 1], 1),
    ([2, 3, 4, 5], [4, 3, 3, 3], [1, 1], [1; 4], [1, 1], 1),
    ([2, 9, 3, 3], [33, 9, 1, 1], [1, 1], [0; 4], [1, 1], 1),
    ([2, 33, 3, 3], [9, 33, 2, 2], [1, 1], [0; 4], [1, 1], 1),
    ([1, 17, 3, 4], [47, 17, 3, 3], [1, 1], [1; 4], [1, 1], 1),
    // Strides that divide, that do not, and longer than the kernel or the image.
    ([3, 2, 6, 6], [3, 2, 2, 2], [2, 2], [0; 4], [1, 1], 1),
    ([2, 2, 8, 7], [3, 2, 3, 2], [2, 3], [0; 4], [1, 1], 1),
    ([2, 2, 8, 7], [3, 2, 2, 1], [3, 4], [0, 1, 2, 0], [1, 1], 1),
    ([2, 2, 3, 3], [3, 2, 2, 2], [9, 9], [1; 4], [1, 1], 1),
    // Dilation.
    ([2, 2, 7, 8], [3, 2, 3, 3], [1, 1], [2, 0, 2, 0], [2, 1], 1),
    ([2, 2, 5, 9], [3, 2, 2, 3], [2, 1], [1; 4], [3, 2], 1),
    ([2, 4, 6, 7], [2, 2, 2, 2], [2, 2], [1, 2, 0, 1], [2, 3], 2),
    ([1, 2, 4, 4], [3, 2, 1, 1], [1, 1], [0; 4], [7, 7], 1),
    // Groups, depthwise among them.
    ([2, 6, 4, 4], [9, 2, 3, 3], [1, 1], [1; 4], [1, 1], 3),
    ([2, 5, 4, 4], [5, 1, 3, 3], [1, 1], [1; 4], [1, 1], 5),
    ([2, 4, 5, 4], [8, 2, 2, 3], [2, 1], [0, 1, 1, 1], [1, 1], 2),
    // Padding on one side only, wider than the kernel, and wider than the image.
    ([2, 2, 4, 4], [3, 2, 2, 4], [1, 1], [0, 1, 1, 2], [1, 1], 1),
    ([2, 2, 4, 3], [3, 2, 3, 3], [1, 1], [4, 5, 3, 6], [1, 1], 1),
    ([2, 2, 2, 2], [3, 2, 2, 1], [2, 3], [3, 0, 5, 2], [1, 1], 1),
    // The kernel is the image, bare and padded.
    ([2, 3, 4, 3], [4, 3, 4, 3], [1, 1], [0; 4], [1, 1], 1),
    ([2, 3, 2, 2], [4, 3, 4, 4], [1, 1], [1; 4], [1, 1], 1),
    ([0, 2, 4, 4], [3, 2, 3, 3], [1, 1], [1; 4], [1, 1], 1),
];

/// Lanczos' method ends where its residual is 1e-4 of the eigenvalue: the vector is off by that over the gap to the next one.
const SINGULAR: Tolerance = Tolerance { of_element: 0.0, of_largest: 2e-2, absolute: 0.0 };

/// Operators on small images whose largest singular value is by itself, each with the shape of a weight.
pub(super) fn operators() -> Vec<(Operator, [usize; 4])> {
    let of = |mode: Mode, padding: [usize; 4], [stride, dilation]: [[usize; 2]; 2], groups: usize| Operator {
        stride,
        padding,
        mode,
        dilation,
        groups,
        input_size: [4, 5],
        most: 1e3,
    };
    let once = [[1, 1]; 2];
    vec![
        (of(Mode::Constant, [1; 4], once, 1), [2, 1, 3, 3]),
        (of(Mode::Constant, [0, 1, 1, 0], [[1, 1], [1, 2]], 1), [3, 2, 2, 2]),
        (of(Mode::Constant, [1; 4], once, 2), [4, 1, 2, 3]),
        (of(Mode::Reflect, [1; 4], once, 1), [2, 1, 3, 3]),
        (of(Mode::Replicate, [2, 1, 1, 2], [[2, 2], [1, 1]], 1), [2, 2, 3, 3]),
        (of(Mode::Symmetric, [1, 2, 2, 1], once, 1), [3, 1, 2, 2]),
        (Operator { input_size: [1, 1], ..of(Mode::Constant, [0; 4], once, 1) }, [1, 1, 1, 1]),
        (Operator { most: 0.25, ..of(Mode::Constant, [1; 4], once, 1) }, [2, 1, 3, 3]),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (x, w, stride, padding, dilation, groups) in EXTENTS {
        let geometry = Geometry { stride, padding, dilation, groups, layout: Layout::Nchw };
        let s = geometry.shape(x, w).expect("the extents of a case fit");
        let y = [s.n, s.cout, s.out_h(), s.out_w()];
        let (plain, mut image, mut kernel) = (json!(geometry), json!(geometry), json!(geometry));
        image["inputSize"] = json!([x[2], x[3]]);
        kernel["kernelSize"] = json!([w[2], w[3]]);
        all.push(case("conv2d", plain, [normal(&x), normal(&w)]).within(SUMMED));
        all.push(case("conv2d_input_grad", image, [normal(&y), normal(&w)]).within(SUMMED));
        all.push(case("conv2d_weight_grad", kernel, [normal(&x), normal(&y)]).within(SUMMED));
    }
    // Whole numbers leave no room for rounding: every tap is there once.
    let whole = |shape: &[usize]| integers(shape, -9, 10).of(tslip_graph::DType::F32);
    let square = json!({ "stride": [1, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1], "groups": 1 });
    all.push(case("conv2d", square, [whole(&[2, 16, 7, 14]), whole(&[32, 16, 3, 3])]).not_smooth());
    all.extend(super::conv2d_bias::cases());
    for (operator, w) in operators() {
        let image = operator.image(&Spec::f32(w)).expect("the extents of a case fit");
        let attributes = json!(operator);
        all.push(case("convolution_top_vector", attributes.clone(), [normal(&w)]).within(SINGULAR).not_smooth());
        all.push(case("convolution_norm", attributes, [normal(&w), normal(&image)]).within(FUNCTION).not_smooth());
    }
    let (operator, w) = operators().swap_remove(0);
    let zero = values(&w, &vec![0.0; w.iter().product()]);
    all.push(case("convolution_top_vector", json!(operator), [zero]).within(SINGULAR).not_smooth());
    all
}
