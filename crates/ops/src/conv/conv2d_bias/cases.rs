//! Shapes for which the kernels take different ways: in place, on padded copies, in groups, one pixel, no sample.
use serde_json::json;

use crate::conv::{Geometry, Layout};
use crate::testing::case::{Case, SUMMED, case, normal};

/// Extents of x `[n, h, w, c]` and w `[kh, kw, c / groups, o]`, stride, padding, dilation, groups.
type Extents = ([usize; 4], [usize; 4], [usize; 2], [usize; 4], [usize; 2], usize);

const EXTENTS: [Extents; 7] = [
    ([1, 1, 1, 1], [1, 1, 1, 1], [1, 1], [0; 4], [1, 1], 1),
    ([2, 4, 5, 3], [3, 3, 3, 4], [1, 1], [1; 4], [1, 1], 1),
    ([2, 5, 6, 3], [3, 5, 3, 33], [2, 1], [1, 2, 0, 2], [1, 1], 1),
    ([2, 8, 7, 2], [3, 2, 2, 3], [2, 3], [0; 4], [1, 1], 1),
    ([2, 7, 8, 2], [3, 3, 2, 3], [1, 1], [2, 0, 2, 0], [2, 2], 1),
    ([2, 4, 4, 6], [3, 3, 2, 9], [1, 1], [1; 4], [1, 1], 3),
    ([0, 4, 4, 2], [3, 3, 2, 3], [1, 1], [1; 4], [1, 1], 1),
];

pub(crate) fn cases() -> Vec<Case> {
    let of = |(x, w, stride, padding, dilation, groups): Extents| {
        let geometry = Geometry { stride, padding, dilation, groups, layout: Layout::Nhwc };
        let inputs = [normal(&x), normal(&w), normal(&[1, 1, 1, w[3]])];
        case("conv2d_bias", json!(geometry), inputs).within(SUMMED)
    };
    EXTENTS.into_iter().map(of).collect()
}
