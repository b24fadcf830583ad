//! Which graphs get the fused blocks of sorting and pooling, and that these change no bit.
use serde_json::{Value, json};
use tslip_graph::autodiff::gradients;
use tslip_graph::fuse::fuse;
use tslip_graph::{Graph, Kind, NodeId, Spec};

use crate::testing::{by_name, kernel};

const SORTED: &str = "sorted_l2_norm_pool2d";
const SORTED_GRADIENT: &str = "sorted_l2_norm_pool2d_grad";

fn window(layout: &str) -> Value {
    json!({ "kernel": [2, 2], "stride": [2, 2], "layout": layout })
}

fn emit(g: &mut Graph, op: &str, attributes: Value, inputs: &[NodeId]) -> NodeId {
    by_name(g, op, &attributes, inputs).expect("the operands fit")
}

/// x, x with groups of `size` along `axis` in order, and the norms of that over windows.
fn pooled(axis: usize, size: usize, layout: &str) -> (Graph, [NodeId; 3]) {
    let mut g = Graph::new(crate::registry());
    let x = g.input(0, Spec::f32([2, 4, 4, 4]), true).expect("a shape that fits memory");
    let sorted = emit(&mut g, "group_sort", json!({ "axis": axis, "groupSize": size }), &[x]);
    let y = emit(&mut g, "l2_norm_pool2d", window(layout), &[sorted]);
    (g, [x, sorted, y])
}

/// The ops that are left once blocks are fused.
fn left(g: &Graph, roots: &[NodeId]) -> Vec<&'static str> {
    let (fused, roots) = fuse(g, roots).expect("blocks fit");
    let order = tslip_graph::arrange::live(&fused, &roots);
    order
        .iter()
        .filter_map(|&id| if let Kind::Op(op) = &fused.node(id).kind { Some(op.name()) } else { None })
        .collect()
}

fn gradient(g: &mut Graph, x: NodeId, y: NodeId) -> NodeId {
    let loss = emit(g, "sum", json!({ "axes": [0, 1, 2, 3], "keepdims": false }), &[y]);
    gradients(g, loss, &[x]).expect("differentiable")[0]
}

#[test]
fn sorting_pairs_of_channels_and_pooling_them_is_one_block_each_way() {
    let (mut g, [x, _, y]) = pooled(3, 2, "nhwc");
    assert_eq!(left(&g, &[y]), [SORTED]);
    let dx = gradient(&mut g, x, y);
    let names = left(&g, &[y, dx]);
    assert!(names.contains(&SORTED) && names.contains(&SORTED_GRADIENT), "{names:?}");
    assert!(!names.iter().any(|n| n.starts_with("group_") || n.starts_with("l2_")), "{names:?}");
}

#[test]
fn what_is_used_elsewhere_or_is_no_pair_of_last_channels_stays_as_it_is() {
    let (g, [_, sorted, y]) = pooled(3, 2, "nhwc");
    assert_eq!(left(&g, &[y, sorted]), ["group_sort", "l2_norm_pool2d"]);
    for (axis, size, layout) in [(3, 4, "nhwc"), (2, 2, "nhwc"), (3, 2, "nchw"), (1, 2, "nchw")] {
        let (mut g, [x, _, y]) = pooled(axis, size, layout);
        let dx = gradient(&mut g, x, y);
        let names = left(&g, &[y, dx]);
        assert!(!names.iter().any(|n| n.starts_with("sorted_")), "{names:?}");
    }
}

#[test]
fn a_gradient_that_is_wanted_itself_stays_and_the_other_way_of_moving_is_no_gradient() {
    let (mut g, [x, sorted, y]) = pooled(3, 2, "nhwc");
    let plain = emit(&mut g, "l2_norm_pool2d_grad", window("nhwc"), &[sorted, y, y]);
    let back = json!({ "axis": 3, "groupSize": 2, "inverse": true });
    let moved = emit(&mut g, "group_permute", back.clone(), &[x, plain]);
    assert_eq!(left(&g, &[moved]), [SORTED, SORTED_GRADIENT]);
    assert!(!left(&g, &[moved, plain]).contains(&SORTED_GRADIENT));
    // Sorted by another tensor.
    let other = g.input(1, Spec::f32([2, 4, 4, 4]), true).expect("a shape that fits memory");
    let elsewhere = emit(&mut g, "group_permute", back, &[other, plain]);
    assert!(!left(&g, &[elsewhere]).contains(&SORTED_GRADIENT));
}

#[test]
fn blocks_change_no_bit_of_what_they_replace() {
    // Ties, signed zeros, windows of zeros, and numbers whose squares leave the range of floats.
    let awkward = [0.0, -0.0, 1.5, 1.5, -2.0, 1e25, -1e25, 1e-25, 3.0, -3.0, 0.1];
    let x: Vec<f64> = (0..128).map(|i| if i % 16 < 3 { 0.0 } else { awkward[(i * 7) % awkward.len()] }).collect();
    let x = ndarray::ArrayD::from_shape_vec(vec![2, 4, 4, 4], x).expect("128 numbers");
    let (mut g, [input, _, y]) = pooled(3, 2, "nhwc");
    let dx = gradient(&mut g, input, y);
    let (fused, roots) = fuse(&g, &[input, y, dx]).expect("blocks fit");
    let values = kernel::Operand::new(&x, tslip_graph::DType::F32);
    let apart = kernel::run(&g, &[(input, values.clone())], &[y, dx]);
    let together = kernel::run(&fused, &[(roots[0], values)], &roots[1..]);
    for (one, two) in apart.iter().zip(&together) {
        assert_eq!(one.bits(), two.bits());
    }
}
