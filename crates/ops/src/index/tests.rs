//! What ops by position refuse, and the corners of order: ties, NaN, signed zeros.
use ndarray::ArrayD;
use serde_json::{Value, json};
use tslip_graph::{Code, DType, Spec};

fn i32s(shape: &[usize]) -> Spec {
    Spec::new(shape, DType::I32)
}

#[test]
fn operands_that_do_not_go_together_are_refused_with_what_was_given() {
    let wrong: [(&str, Value, Vec<Spec>, Code, &str); 16] = [
        ("gather", json!({ "axis": 2 }), vec![Spec::f32([4, 3]), i32s(&[2])], Code::InvalidArgument, "axis 2"),
        ("gather", json!({ "axis": -1 }), vec![Spec::f32([4, 3]), i32s(&[2])], Code::InvalidArgument, "-1"),
        ("gather", json!({ "axis": 0 }), vec![Spec::f32([4, 3]), Spec::f32([2])], Code::DtypeMismatch, "i32"),
        ("gather", json!({ "axis": 0 }), vec![Spec::f32([]), i32s(&[2])], Code::InvalidArgument, "axis 0"),
        (
            "scatter_add",
            json!({ "axis": 1, "size": 2 }),
            vec![Spec::f32([4, 3]), i32s(&[4])],
            Code::ShapeMismatch,
            "[4]",
        ),
        (
            "scatter_add",
            json!({ "axis": 5, "size": 2 }),
            vec![Spec::f32([4]), i32s(&[4])],
            Code::ShapeMismatch,
            "axis 5",
        ),
        ("scatter_add", json!({ "axis": 0, "size": 2 }), vec![i32s(&[4]), i32s(&[4])], Code::DtypeMismatch, "f32"),
        (
            "scatter_add",
            json!({ "axis": 0, "size": u64::MAX }),
            vec![Spec::f32([4]), i32s(&[4])],
            Code::ShapeMismatch,
            "memory",
        ),
        ("take_along", json!({ "axis": 1 }), vec![Spec::f32([4, 3]), i32s(&[2, 3])], Code::ShapeMismatch, "[2, 3]"),
        ("take_along", json!({ "axis": 0 }), vec![Spec::f32([4, 3]), i32s(&[4])], Code::ShapeMismatch, "[4]"),
        (
            "put_along_add",
            json!({ "axis": 0, "size": 9 }),
            vec![Spec::f32([4]), i32s(&[3])],
            Code::ShapeMismatch,
            "[3]",
        ),
        (
            "put_along_add",
            json!({ "axis": 1, "size": 9 }),
            vec![Spec::f32([4]), i32s(&[4])],
            Code::InvalidArgument,
            "axis 1",
        ),
        ("one_hot", json!({ "classes": 0 }), vec![i32s(&[4])], Code::InvalidArgument, "classes"),
        ("one_hot", json!({ "classes": 3 }), vec![Spec::f32([4])], Code::DtypeMismatch, "f32"),
        ("argsort", json!({ "axis": 1, "descending": false }), vec![Spec::f32([4])], Code::InvalidArgument, "axis 1"),
        (
            "argsort",
            json!({ "axis": 0, "descending": false }),
            vec![Spec::new([4], DType::Bool)],
            Code::DtypeMismatch,
            "boolean",
        ),
    ];
    for (op, attributes, inputs, code, part) in wrong {
        let made = crate::registry().make(op, &attributes);
        let inferred = made.and_then(|op| tslip_graph::graph::infer(op.as_ref(), &inputs.iter().collect::<Vec<_>>()));
        let error = inferred.expect_err(&format!("{op} {attributes} accepted {inputs:?}"));
        assert_eq!(error.code, code, "{op} {attributes}: {error}");
        assert!(error.message.contains(part), "{op} {attributes}: \"{}\" does not mention {part}", error.message);
    }
}

#[test]
fn sorting_keeps_the_order_of_ties_and_puts_nan_last_in_both_directions() {
    let x = vec![2.0, f64::NAN, 0.0, 2.0, -0.0, f64::INFINITY, f64::NAN, -1.0];
    let n = x.len();
    let x = ArrayD::from_shape_vec(vec![n], x).expect("one axis");
    for (descending, want) in [(false, [7, 2, 4, 0, 3, 5, 1, 6]), (true, [5, 0, 3, 2, 4, 7, 1, 6])] {
        let op = crate::registry().make("argsort", &json!({ "axis": 0, "descending": descending })).expect("valid");
        let got = op.reference(&[&x], &i32s(&[n]));
        assert_eq!(got.iter().map(|&v| v as i32).collect::<Vec<_>>(), want, "descending: {descending}");
    }
}
