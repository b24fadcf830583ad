//! What ops that move elements refuse, values worked out by NumPy, and how permutations join.
use ndarray::ArrayD;
use serde_json::{Value, json};
use tslip_graph::{Code, DType, Error, Graph, Op, Spec};

fn refusal(op: &str, attributes: Value, inputs: &[Spec]) -> Error {
    let made = crate::registry().make(op, &attributes);
    let inferred = made.and_then(|op| tslip_graph::graph::infer(op.as_ref(), &inputs.iter().collect::<Vec<_>>()));
    inferred.expect_err(&format!("{op} {attributes} accepted {inputs:?}"))
}

#[test]
fn attributes_that_do_not_fit_the_operand_are_refused_with_what_was_given() {
    let x = || vec![Spec::f32([4, 3])];
    let part = |starts: [i64; 2], stops: [i64; 2], steps: [i64; 2]| json!({ "starts": starts, "stops": stops, "steps": steps });
    let pad = |mode: &str, before: Value, value: f64| json!({ "before": before, "after": [0, 0], "mode": mode, "value": value });
    let wrong = [
        ("reshape", json!({ "shape": [5, 3] }), x(), Code::ShapeMismatch, "15 elements"),
        ("reshape", json!({ "shape": [-1] }), x(), Code::InvalidArgument, "-1"),
        ("reshape", json!({ "shape": [1u64 << 40, 1u64 << 40] }), x(), Code::ShapeMismatch, "does not fit in memory"),
        ("permute", json!({ "axes": [0] }), x(), Code::InvalidArgument, "each axis"),
        ("permute", json!({ "axes": [0, 0] }), x(), Code::InvalidArgument, "[0, 0]"),
        ("permute", json!({ "axes": [1, 2] }), x(), Code::InvalidArgument, "[1, 2]"),
        ("broadcast_to", json!({ "shape": [4, 6] }), x(), Code::ShapeMismatch, "[4, 6]"),
        ("broadcast_to", json!({ "shape": [3] }), x(), Code::ShapeMismatch, "[3]"),
        ("broadcast_to", json!({ "shape": [1, 3] }), x(), Code::ShapeMismatch, "[1, 3]"),
        ("slice", part([0, 0], [4, 4], [1, 1]), x(), Code::InvalidArgument, "stop 4"),
        ("slice", part([3, 0], [2, 3], [1, 1]), x(), Code::InvalidArgument, "start 3"),
        ("slice", part([0, 0], [4, 3], [1, 0]), x(), Code::InvalidArgument, "step 0"),
        ("slice", part([-1, 0], [4, 3], [1, 1]), x(), Code::InvalidArgument, "-1"),
        ("slice", json!({ "starts": [0], "stops": [4, 3], "steps": [1, 1] }), x(), Code::InvalidArgument, "starts"),
        ("pad", pad("constant", json!([1]), 0.0), x(), Code::InvalidArgument, "before"),
        ("pad", pad("constant", json!([u64::MAX, 0]), 0.0), x(), Code::ShapeMismatch, "does not fit in memory"),
        ("pad", pad("constant", json!([1, 0]), 1e39), x(), Code::InvalidArgument, "finite"),
        ("pad", pad("constant", json!([1, 0]), 0.5), vec![Spec::new([4, 3], DType::I32)], Code::InvalidArgument, "0.5"),
        (
            "pad",
            pad("constant", json!([1, 0]), 256.0),
            vec![Spec::new([4, 3], DType::U8)],
            Code::InvalidArgument,
            "256",
        ),
        ("pad", pad("mirror", json!([1, 0]), 0.0), x(), Code::InvalidArgument, "mirror"),
        ("pad", pad("reflect", json!([0, 3]), 0.0), x(), Code::InvalidArgument, "at most 2"),
        ("pad", pad("circular", json!([0, 4]), 0.0), x(), Code::InvalidArgument, "at most 3"),
        ("pad", pad("symmetric", json!([5, 0]), 0.0), x(), Code::InvalidArgument, "at most 4"),
        ("pad", pad("replicate", json!([1, 0]), 0.0), vec![Spec::f32([0, 3])], Code::InvalidArgument, "at most 0"),
        ("concat", json!({ "axis": 2 }), x(), Code::InvalidArgument, "axis 2"),
        ("concat", json!({ "axis": 0 }), vec![], Code::InvalidArgument, "one or more"),
        ("concat", json!({ "axis": 0 }), vec![Spec::f32([4, 3]), Spec::f32([4, 2])], Code::ShapeMismatch, "[4, 2]"),
        ("concat", json!({ "axis": 0 }), vec![Spec::f32([4, 3]), Spec::f32([4])], Code::ShapeMismatch, "[4]"),
        (
            "concat",
            json!({ "axis": 0 }),
            vec![Spec::f32([4, 3]), Spec::new([4, 3], DType::I32)],
            Code::DtypeMismatch,
            "i32",
        ),
    ];
    for (op, attributes, inputs, code, part) in wrong {
        let error = refusal(op, attributes.clone(), &inputs);
        assert_eq!(error.code, code, "{op} {attributes}: {error}");
        assert!(error.message.contains(part), "{op} {attributes}: \"{}\" does not mention {part}", error.message);
        assert_eq!(error.op.as_deref(), Some(op));
    }
}

#[test]
fn padding_is_that_of_numpy_in_every_mode() {
    // np.pad([1, 2, 3, 4], (3, 2), mode) with the modes constant, reflect, edge, wrap, symmetric.
    let wanted = [
        ("constant", [9., 9., 9., 1., 2., 3., 4., 9., 9.]),
        ("reflect", [4., 3., 2., 1., 2., 3., 4., 3., 2.]),
        ("replicate", [1., 1., 1., 1., 2., 3., 4., 4., 4.]),
        ("circular", [2., 3., 4., 1., 2., 3., 4., 1., 2.]),
        ("symmetric", [3., 2., 1., 1., 2., 3., 4., 4., 3.]),
    ];
    let x = ArrayD::from_shape_vec(vec![4], vec![1.0, 2.0, 3.0, 4.0]).expect("four values");
    for (mode, want) in wanted {
        let attributes = json!({ "before": [3], "after": [2], "mode": mode, "value": 9.0 });
        let op = crate::registry().make("pad", &attributes).expect("valid attributes");
        let got = op.reference(&[&x], &Spec::f32([9]));
        assert_eq!(got.iter().copied().collect::<Vec<_>>(), want, "{mode}");
    }
}

#[test]
fn a_permutation_of_a_permuted_operand_is_one_permutation() {
    let permute = super::permute::Permute { axes: vec![0, 3, 1, 2] };
    let channels_last = [0, 2, 3, 1];
    let joined = permute.permuted(&channels_last, &[&Spec::f32([2, 3, 4, 5])]).expect("permutations follow");
    // The operand lies as N H W C of shape [2, 4, 5, 3]; axes 0 3 1 2 of N C H W are N W C H.
    assert_eq!(joined.op.attributes(), json!({ "axes": [0, 2, 3, 1] }));
    assert_eq!(joined.output, None);
}

#[test]
fn ops_that_change_nothing_are_not_emitted_by_derivatives() {
    let mut graph = Graph::new(crate::registry());
    let x = graph.input(0, Spec::f32([4, 3]), false).expect("a valid leaf");
    let op = super::slice::Slice { starts: vec![0, 0], stops: vec![4, 3], steps: vec![1, 1] };
    let y = graph.emit(op.clone(), &[x]).expect("the whole tensor");
    let before = graph.nodes().len();
    let vjp = tslip_graph::Vjp { graph: &mut graph, inputs: &[x], output: y, cotangent: y };
    assert_eq!(op.vjp(vjp), Ok(vec![Some(y)]));
    assert_eq!(graph.nodes().len(), before);
}
