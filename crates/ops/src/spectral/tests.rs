//! What ops on whole weights refuse, and the reference against weights whose singular values are known.
use ndarray::{Array2, array};
use serde_json::{Value, json};
use tslip_graph::graph::infer;
use tslip_graph::{Code, DType, Graph, Kind, Plan, Request, Spec};

use super::top_singular;
use crate::testing::by_name;

/// A few roundings in f64.
const ROUNDING: f64 = 1e-13;

#[test]
fn operands_that_are_no_weights_and_options_out_of_range_are_refused() {
    let w = || Spec::f32([4, 3]);
    let options = |iterations: u64, beta: f64| json!({ "iterations": iterations, "beta": beta });
    let wrong: [(&str, Value, Vec<Spec>, Code, &str); 14] = [
        ("spectral_norm", json!({}), vec![Spec::f32([4])], Code::ShapeMismatch, "matrices"),
        ("spectral_norm", json!({}), vec![Spec::f32([4, 0])], Code::ShapeMismatch, "at least one row"),
        ("spectral_norm", json!({}), vec![Spec::f32([2, 4, 3])], Code::ShapeMismatch, "matrices"),
        ("spectral_norm", json!({}), vec![Spec::new([4, 3], DType::I32)], Code::DtypeMismatch, "i32"),
        ("spectral_norm_grad", json!({}), vec![Spec::f32([0, 3])], Code::ShapeMismatch, "at least one row"),
        ("bjorck", options(5, 0.0), vec![w()], Code::InvalidArgument, "beta"),
        ("bjorck", options(5, -0.5), vec![w()], Code::InvalidArgument, "-0.5"),
        ("bjorck", options(5, 0.51), vec![w()], Code::InvalidArgument, "0.51"),
        ("bjorck", options(1001, 0.5), vec![w()], Code::InvalidArgument, "1001"),
        ("bjorck", options(u64::MAX, 0.5), vec![w()], Code::InvalidArgument, "at most"),
        ("bjorck", options(5, 0.5), vec![Spec::f32([3])], Code::ShapeMismatch, "matrices"),
        ("bjorck_grad", options(5, 0.6), vec![w(), w()], Code::InvalidArgument, "0.6"),
        ("bjorck_grad", options(5, 0.5), vec![w(), Spec::f32([3, 4])], Code::ShapeMismatch, "one shape"),
        ("bjorck_grad", options(1000, 0.5), vec![Spec::f32([1 << 20, 1 << 20]); 2], Code::ShapeMismatch, "memory"),
    ];
    for (op, attributes, inputs, code, part) in wrong {
        let made = crate::registry().make(op, &attributes);
        let inferred = made.and_then(|op| infer(op.as_ref(), &inputs.iter().collect::<Vec<_>>()));
        let error = inferred.expect_err(&format!("{op} {attributes} accepted {inputs:?}"));
        assert_eq!(error.code, code, "{op} {attributes}: {error}");
        assert!(error.message.contains(part), "{op} {attributes}: \"{}\" does not mention {part}", error.message);
    }
}

#[test]
fn the_reference_finds_known_singular_values_and_averages_over_those_that_tie() {
    let known: [(Array2<f64>, f64, Array2<f64>); 5] = [
        (array![[3.0, 0.0], [0.0, -5.0]], 5.0, array![[0.0, 0.0], [0.0, -1.0]]),
        // Singular values sqrt(45) and sqrt(5), u = (1, 3) / sqrt(10), v = (1, 1) / sqrt(2).
        (array![[3.0, 0.0], [4.0, 5.0]], 45f64.sqrt(), array![[1.0, 1.0], [3.0, 3.0]] / 20f64.sqrt()),
        (array![[2.0, 0.0, 0.0], [0.0, -2.0, 0.0]], 2.0, array![[0.5, 0.0, 0.0], [0.0, -0.5, 0.0]]),
        (array![[3.0], [4.0]], 5.0, array![[0.6], [0.8]]),
        (array![[0.0, 0.0]], 0.0, array![[0.0, 0.0]]),
    ];
    for (w, sigma, direction) in known {
        let (got, of) = top_singular(&w);
        assert!((got - sigma).abs() <= ROUNDING * sigma, "{w}: {got}");
        assert!(of.iter().zip(&direction).all(|(a, b)| (a - b).abs() <= ROUNDING), "{w}: {of}");
    }
}

/// The names of the ops in the plan of the norm and the orthonormalized weight of a state, and perhaps their gradients.
fn planned(shape: [usize; 2], gradients: bool) -> Vec<&'static str> {
    let mut graph = Graph::new(crate::registry());
    let attributes = json!({ "iterations": 15, "beta": 0.5 });
    let made = (|| {
        let w = graph.state(0, Spec::f32(shape), false)?;
        let direction = graph.input(0, Spec::f32(shape), false)?;
        let norm = by_name(&mut graph, "spectral_norm", &json!({}), &[w])?;
        let unit = by_name(&mut graph, "bjorck", &attributes, &[w])?;
        let scaled = by_name(&mut graph, "mul", &json!({}), &[unit, direction])?;
        let sum = by_name(&mut graph, "sum", &json!({ "axes": [0, 1], "keepdims": false }), &[scaled])?;
        let loss = by_name(&mut graph, "add", &json!({}), &[sum, norm])?;
        let mut outputs = vec![norm, unit];
        if gradients {
            outputs.extend(tslip_graph::autodiff::gradients(&mut graph, loss, &[w])?);
        }
        Plan::new(&graph, &Request { outputs, ..Request::default() })
    })();
    let plan = made.expect("the graph is right");
    let name = |node: &tslip_graph::Node| match &node.kind {
        Kind::Op(op) => Some(op.name()),
        _ => None,
    };
    plan.graph.nodes().iter().filter_map(name).collect()
}

#[test]
fn a_plan_that_wants_gradients_computes_value_and_gradient_of_a_weight_from_the_same_powers() {
    let with = planned([12, 40], true);
    for once in ["bjorck_tape", "bjorck_from_tape", "bjorck_grad_from_tape", "spectral_norm_grad"] {
        assert_eq!(with.iter().filter(|name| **name == once).count(), 1, "{once} in {with:?}");
    }
    assert!(!with.contains(&"bjorck") && !with.contains(&"spectral_norm"), "{with:?}");
    assert_eq!(planned([12, 40], false), ["spectral_norm", "bjorck"]);
}

#[test]
fn a_tape_that_would_take_too_much_memory_is_not_kept() {
    assert!(planned([2000, 2000], true).contains(&"bjorck_tape"));
    let with = planned([64, 200_000], true);
    assert!(with.contains(&"bjorck") && with.contains(&"bjorck_grad") && !with.contains(&"bjorck_tape"), "{with:?}");
}
