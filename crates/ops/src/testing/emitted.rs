//! Ops made in Rust are those made by name: the same nodes, and attributes that are checked alike.
use serde_json::{Value, json};
use tslip_graph::autodiff::gradients;
use tslip_graph::{DType, Graph, NodeId, Op, Result, Spec};

use super::by_name;
use crate::conv::conv2d::Conv2d;
use crate::conv::{Geometry, Layout};
use crate::create::full::Full;
use crate::create::iota::Iota;
use crate::elementwise::bias_correction::BiasCorrection;
use crate::emit::Emit;
use crate::pool::Window;
use crate::pool::window_sum2d::WindowSum2d;
use crate::reduce::axes::Axes;
use crate::reduce::sum::Sum;
use crate::shape::pad::Pad;
use crate::shape::padding::Mode;
use crate::shape::permute::Permute;
use crate::sort::group_sort::GroupSort;
use crate::spectral::bjorck::Bjorck;

#[test]
fn a_node_emitted_by_type_is_the_node_of_that_name() {
    let mut g = Graph::new(crate::registry());
    let [a, b] = [0, 1].map(|i| g.input(i, Spec::f32([4, 3]), false).expect("a valid leaf"));
    let truth = g.equal(a, b).expect("operands of one type");
    let none = json!({});
    let same = |typed: Result<NodeId>, g: &mut Graph, name: &str, attributes: &Value, inputs: &[NodeId]| {
        assert_eq!(typed, by_name(g, name, attributes, inputs), "{name}");
    };
    type One = fn(&mut Graph, NodeId) -> Result<NodeId>;
    let unary: [(&str, One); 4] =
        [("neg", Emit::neg), ("sign", Emit::sign), ("square", Emit::square), ("log", Emit::log)];
    for (name, method) in unary {
        same(method(&mut g, a), &mut g, name, &none, &[a]);
    }
    type Two = fn(&mut Graph, NodeId, NodeId) -> Result<NodeId>;
    let binary: [(&str, Two); 8] = [
        ("add", Emit::add),
        ("sub", Emit::sub),
        ("mul", Emit::mul),
        ("div", Emit::div),
        ("pow", Emit::pow),
        ("equal", Emit::equal),
        ("less", Emit::less),
        ("less_equal", Emit::less_equal),
    ];
    for (name, method) in binary {
        same(method(&mut g, a, b), &mut g, name, &none, &[a, b]);
    }
    same(g.and(truth, truth), &mut g, "and", &none, &[truth, truth]);
    same(g.select(truth, a, b), &mut g, "where", &none, &[truth, a, b]);
    for value in [json!(0), json!(-2.5), json!("Infinity"), json!("NaN")] {
        let full = json!({ "shape": [], "value": value, "dtype": "f32" });
        let number = value.as_f64().unwrap_or(if value == "NaN" { f64::NAN } else { f64::INFINITY });
        same(g.scalar(number), &mut g, "full", &full, &[]);
    }
    same(g.reshape(a, &[12]), &mut g, "reshape", &json!({ "shape": [12] }), &[a]);
    same(g.permute(a, &[1, 0]), &mut g, "permute", &json!({ "axes": [1, 0] }), &[a]);
    same(g.broadcast_to(a, &[2, 4, 3]), &mut g, "broadcast_to", &json!({ "shape": [2, 4, 3] }), &[a]);
    same(g.sum(a, &[0], true), &mut g, "sum", &json!({ "axes": [0], "keepdims": true }), &[a]);
    // What differentiation emits of its own.
    let loss = g.sum(a, &[0, 1], false).expect("axes that exist");
    let slopes = gradients(&mut g, loss, &[loss, b]).expect("a scalar");
    same(Ok(slopes[0]), &mut g, "full", &json!({ "shape": [], "value": 1, "dtype": "f32" }), &[]);
    same(Ok(slopes[1]), &mut g, "full", &json!({ "shape": [4, 3], "value": 0, "dtype": "f32" }), &[]);
}

/// The op is refused, and with the same words when it is made from its attributes.
fn refused(op: impl Op, operands: &[&[usize]]) {
    let mut g = Graph::new(crate::registry());
    let leaf = |(i, shape): (usize, &&[usize])| g.input(i, Spec::f32(*shape), false).expect("a valid leaf");
    let inputs: Vec<NodeId> = operands.iter().enumerate().map(leaf).collect();
    let (name, attributes) = (op.name(), op.attributes());
    let by_type = g.emit(op, &inputs).expect_err(name);
    let by_name = by_name(&mut g, name, &attributes, &inputs).expect_err(name);
    // JSON has no NaN: such an attribute does not come as far as that.
    if !attributes.to_string().contains("null") {
        assert_eq!(by_type, by_name);
    }
    assert_eq!((by_type.code, by_type.op), (by_name.code, by_name.op));
}

#[test]
fn attributes_of_an_op_made_in_rust_are_checked_as_those_of_a_description_are() {
    let geometry = |groups, stride| Geometry {
        stride: [stride, 1],
        padding: [0; 4],
        dilation: [1, 1],
        groups,
        layout: Layout::Nchw,
    };
    let images: [&[usize]; 2] = [&[2, 4, 5, 6], &[8, 4, 3, 3]];
    refused(Conv2d(geometry(0, 1)), &images);
    refused(Conv2d(geometry(1, 0)), &images);
    refused(WindowSum2d(Window { kernel: [0, 2], stride: [1, 1], layout: Layout::Nchw }), &images[..1]);
    refused(GroupSort { axis: 1, group_size: 0 }, &images[..1]);
    refused(Permute { axes: vec![0, 0] }, &[&[2, 3]]);
    refused(Sum(Axes { axes: vec![1, 1], keepdims: false }), &[&[2, 3]]);
    refused(Iota { shape: vec![2], axis: 1, dtype: DType::F32 }, &[]);
    refused(Full { shape: vec![2], value: 0.5, dtype: DType::I32 }, &[]);
    for beta in [0.0, 0.6, f64::NAN] {
        refused(Bjorck { iterations: 15, beta }, &[&[2, 3]]);
    }
    for beta in [-0.1, 1.0, f64::NAN] {
        refused(BiasCorrection { beta }, &[&[]]);
    }
    for value in [1e300, f64::NAN] {
        refused(Pad { before: vec![1], after: vec![0], mode: Mode::Constant, value }, &[&[3]]);
    }
}
