//! Groups of all sizes along the first, a middle and the last axis, with ties, signed zeros, infinities and NaN.
use serde_json::json;
use tslip_graph::DType;

use crate::testing::case::{Case, Input, case, integers, normal, spaced, values, wild};

/// Shape, axis and size of the groups; the last axis with pairs has a kernel of its own.
const GROUPS: [(&[usize], usize, usize); 15] = [
    (&[1, 2], 1, 2),
    (&[3, 12], 1, 2),
    (&[3, 12], 1, 3),
    (&[3, 12], 1, 4),
    (&[3, 12], 1, 12),
    (&[3, 12], 1, 1),
    (&[12, 2], 0, 3),
    (&[2, 6, 2, 3], 1, 2),
    (&[2, 6, 3, 1], 1, 3),
    (&[2, 8, 2, 2], 1, 4),
    (&[2, 3, 2, 6], 3, 2),
    (&[2, 1, 3, 6], 3, 3),
    (&[2, 34], 1, 2),
    (&[0, 4], 1, 2),
    (&[3, 0], 1, 2),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (shape, axis, size) in GROUPS {
        all.extend(both(axis, size, spaced(shape), normal(shape), false));
        // Many ties: moves must be stable, and back again the same.
        all.extend(both(axis, size, integers(shape, -1, 2).of(DType::F32), normal(shape), true));
    }
    let (nan, infinite) = (f64::NAN, f64::INFINITY);
    let odd = [nan, 1.0, 0.0, -0.0, infinite, nan, -infinite, nan, -0.0, 0.0, nan, nan, 2.0, nan, -infinite, infinite];
    for size in [2, 4, 8, 16] {
        all.extend(both(1, size, values(&[1, 16], &odd), normal(&[1, 16]), true));
    }
    // Wide enough to be sorted in other ways.
    for size in [40, 100, 200] {
        all.extend(both(1, size, spaced(&[2, size]), normal(&[2, size]), false));
        all.extend(both(1, size, integers(&[1, size, 2], -3, 4).of(DType::F32), normal(&[1, size, 2]), true));
    }
    all.push(case("group_sort", json!({ "axis": 0, "groupSize": 13 }), [wild()]).not_smooth());
    all
}

fn both(axis: usize, size: usize, x: Input, v: Input, kink: bool) -> Vec<Case> {
    let of = |inverse: bool| json!({ "axis": axis, "groupSize": size, "inverse": inverse });
    let all = [
        case("group_sort", json!({ "axis": axis, "groupSize": size }), [x.clone()]),
        case("group_permute", of(false), [x.clone(), v.clone()]),
        case("group_permute", of(true), [x, v]),
    ];
    all.map(|c| if kink { c.not_smooth() } else { c }).into()
}
