//! Square, tall, wide and single-entry weights, zero ones, ranks below full, ties, and the ends of the range.
use serde_json::json;

use crate::testing::case::{Case, FUNCTION, Input, SUMMED, Tolerance, case, normal, uniform, values};

/// The iteration multiplies what rounding leaves in a small singular direction by up to 1.5 each time: after fifteen
/// times by 440, and its adjoint likewise.
const AMPLIFIED: Tolerance = Tolerance { of_element: 1e-5, of_largest: 1e-4, absolute: 1e-5 };

/// Extents of weights; the Gram products have panels of 32 and depths of 256.
const SHAPES: [[usize; 2]; 10] =
    [[1, 1], [1, 9], [9, 1], [2, 3], [5, 5], [4, 17], [17, 4], [12, 9], [40, 33], [300, 5]];

/// A GPU's kernels have tiles of 64 and parts of some hundred rows.
const LARGER: [[usize; 2]; 6] = [[64, 64], [65, 65], [17, 700], [700, 33], [70, 150], [130, 66]];

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for shape in SHAPES {
        all.push(case("spectral_norm", json!({}), [normal(&shape)]).within(FUNCTION));
        all.push(case("spectral_norm_grad", json!({}), [normal(&shape)]).within(SUMMED));
        // Entries this small keep the largest singular value below 1.
        let bound = 0.8 / ((shape[0] as f64).sqrt() + (shape[1] as f64).sqrt());
        for (iterations, beta) in [(0, 0.5), (1, 0.5), (5, 0.25), (5, 0.5), (15, 0.5)] {
            let attributes = json!({ "iterations": iterations, "beta": beta });
            let w = || uniform(&shape, -bound, bound);
            all.push(case("bjorck", attributes.clone(), [w()]).within(AMPLIFIED));
            let gradient = case("bjorck_grad", attributes, [w(), normal(&shape)]).within(AMPLIFIED);
            // Third derivatives after fifteen iterations are beyond what differences can tell.
            all.push(if iterations < 15 { gradient } else { gradient.not_smooth() });
        }
    }
    for w in degenerate() {
        all.push(case("spectral_norm", json!({}), [w.clone()]).within(FUNCTION).not_smooth());
        all.push(case("spectral_norm_grad", json!({}), [w.clone()]).within(SUMMED).not_smooth());
    }
    for w in [zero(), rank_one(0.1), identity(1.0), identity(0.3)] {
        for iterations in [1, 5, 15] {
            let attributes = json!({ "iterations": iterations, "beta": 0.5 });
            let d = normal(&w.spec.shape);
            all.push(case("bjorck", attributes.clone(), [w.clone()]).within(AMPLIFIED).not_smooth());
            all.push(case("bjorck_grad", attributes, [w.clone(), d]).within(AMPLIFIED).not_smooth());
        }
    }
    for shape in LARGER {
        all.push(case("spectral_norm", json!({}), [normal(&shape)]).within(FUNCTION).not_smooth());
        all.push(case("spectral_norm_grad", json!({}), [normal(&shape)]).within(SUMMED).not_smooth());
        let bound = 0.8 / ((shape[0] as f64).sqrt() + (shape[1] as f64).sqrt());
        for (iterations, beta) in [(0, 0.5), (1, 0.5), (6, 0.4), (15, 0.5)] {
            let attributes = json!({ "iterations": iterations, "beta": beta });
            let w = || uniform(&shape, -bound, bound);
            all.push(case("bjorck", attributes.clone(), [w()]).within(AMPLIFIED).not_smooth());
            all.push(case("bjorck_grad", attributes, [w(), normal(&shape)]).within(AMPLIFIED).not_smooth());
        }
    }
    all
}

fn zero() -> Input {
    values(&[3, 4], &[0.0; 12])
}

fn rank_one(scale: f64) -> Input {
    let entries: Vec<f64> = (0..24).map(|i| scale * (1.0 + (i / 4) as f64) * (2.0 - (i % 4) as f64)).collect();
    values(&[6, 4], &entries)
}

/// All singular values tie.
fn identity(scale: f64) -> Input {
    let entries: Vec<f64> = (0..25).map(|i| if i % 6 == 0 { scale } else { 0.0 }).collect();
    values(&[5, 5], &entries)
}

fn degenerate() -> Vec<Input> {
    let corner = |v: f64| values(&[2, 3], &[v, 1.0, 0.0, 0.0, 2.0, 1.0]);
    let two_of_three = values(&[3, 3], &[2.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 1.0]);
    let subnormal = values(&[2, 2], &[1e-40, 3e-40, -2e-40, 1e-41]);
    vec![
        zero(),
        rank_one(1.0),
        rank_one(1e30),
        rank_one(1e-30),
        identity(1.0),
        identity(1e-38),
        two_of_three,
        subnormal,
        values(&[1, 1], &[-3.0]),
        values(&[1, 1], &[0.0]),
        values(&[1, 4], &[1e38, -1e38, 0.0, 1e38]),
        corner(f64::NAN),
        corner(f64::INFINITY),
        corner(f64::NEG_INFINITY),
    ]
}
