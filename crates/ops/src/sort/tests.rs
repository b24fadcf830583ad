//! What sorting in groups refuses, and the order of what compares as equal.
use ndarray::ArrayD;
use serde_json::{Value, json};
use tslip_graph::graph::infer;
use tslip_graph::{Code, DType, Spec};

#[test]
fn groups_that_do_not_divide_the_axis_are_refused_with_what_was_given() {
    let x = || Spec::f32([2, 6, 4]);
    let sort = |axis: u64, size: u64| json!({ "axis": axis, "groupSize": size });
    let permute = json!({ "axis": 1, "groupSize": 2, "inverse": false });
    let wrong: [(&str, Value, Vec<Spec>, Code, &str); 8] = [
        ("group_sort", sort(1, 4), vec![x()], Code::ShapeMismatch, "groups of 4"),
        ("group_sort", sort(1, 0), vec![x()], Code::ShapeMismatch, "groups of 0"),
        ("group_sort", sort(1, u64::MAX), vec![x()], Code::ShapeMismatch, "extent 6"),
        ("group_sort", sort(3, 2), vec![x()], Code::InvalidArgument, "axis 3"),
        ("group_sort", sort(0, 1), vec![Spec::f32([])], Code::InvalidArgument, "axis 0"),
        ("group_sort", sort(1, 2), vec![Spec::new([2, 6], DType::I32)], Code::DtypeMismatch, "i32"),
        ("group_permute", permute.clone(), vec![x(), Spec::f32([2, 6])], Code::ShapeMismatch, "one shape"),
        ("group_permute", permute, vec![x(), Spec::new([2, 6, 4], DType::U8)], Code::DtypeMismatch, "u8"),
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
fn zeros_of_both_signs_are_equal_and_nan_comes_last_whatever_the_order_of_the_members() {
    let x = [f64::NAN, 0.0, -0.0, 1.0, f64::NAN, -0.0, 0.0, f64::NEG_INFINITY];
    let places: Vec<f64> = (0..x.len()).map(|i| i as f64).collect();
    let array = |v: &[f64]| ArrayD::from_shape_vec(vec![v.len()], v.to_vec()).expect("one axis");
    let attributes = json!({ "axis": 0, "groupSize": x.len(), "inverse": false });
    let op = crate::registry().make("group_permute", &attributes).expect("valid");
    let order = op.reference(&[&array(&x), &array(&places)], &Spec::f32([x.len()]));
    assert_eq!(order.iter().map(|&v| v as usize).collect::<Vec<_>>(), [7, 1, 2, 5, 6, 3, 0, 4]);
}
