//! What pooling refuses.
use serde_json::{Value, json};
use tslip_graph::graph::infer;
use tslip_graph::{Code, DType, Spec};

#[test]
fn windows_that_do_not_fit_or_are_empty_are_refused_with_what_was_given() {
    let x = || Spec::f32([2, 3, 4, 5]);
    let window = |kernel: [u64; 2], stride: [u64; 2]| json!({ "kernel": kernel, "stride": stride });
    let spread = |size: [u64; 2]| json!({ "kernel": [2, 2], "stride": [2, 2], "inputSize": size });
    let taps = |shape: [usize; 4]| Spec::new(shape, DType::I32);
    let plain = || window([2, 2], [2, 2]);
    let bytes = Spec::new([2, 3, 4, 5], DType::U8);
    let last = json!({ "kernel": [2, 2], "stride": [2, 2], "layout": "nhwc" });
    let wrong: [(&str, Value, Vec<Spec>, Code, &str); 25] = [
        ("window_sum2d", window([0, 2], [2, 2]), vec![x()], Code::InvalidArgument, "[0, 2]"),
        ("window_sum2d", window([2, 2], [2, 0]), vec![x()], Code::InvalidArgument, "[2, 0]"),
        ("window_sum2d", window([5, 2], [1, 1]), vec![x()], Code::ShapeMismatch, "[5, 2]"),
        ("window_sum2d", window([u64::MAX, 1], [1, 1]), vec![x()], Code::ShapeMismatch, "[4, 5]"),
        ("window_sum2d", plain(), vec![Spec::f32([4, 5])], Code::ShapeMismatch, "four axes"),
        ("window_sum2d", plain(), vec![bytes.clone()], Code::DtypeMismatch, "u8"),
        ("l2_norm_pool2d", window([4, 6], [1, 1]), vec![x()], Code::ShapeMismatch, "[4, 6]"),
        ("l2_norm_pool2d", plain(), vec![Spec::f32([2, 3, 0, 5])], Code::ShapeMismatch, "[0, 5]"),
        ("l2_norm_pool2d", plain(), vec![bytes], Code::DtypeMismatch, "u8"),
        ("window_spread2d", spread([4, 5]), vec![x()], Code::ShapeMismatch, "[2, 2]"),
        ("window_spread2d", spread([u64::MAX, 2]), vec![x()], Code::ShapeMismatch, "windows"),
        ("window_spread2d", spread([1, 1]), vec![x()], Code::ShapeMismatch, "does not fit"),
        ("window_spread2d", spread([8, 10]), vec![Spec::f32([4, 5])], Code::ShapeMismatch, "four axes"),
        ("window_argmax2d", window([5, 2], [1, 1]), vec![x()], Code::ShapeMismatch, "[5, 2]"),
        ("window_take2d", plain(), vec![x(), x()], Code::DtypeMismatch, "i32"),
        ("window_take2d", plain(), vec![x(), taps([2, 3, 2, 3])], Code::ShapeMismatch, "[2, 3, 2, 2]"),
        ("window_put2d", spread([8, 10]), vec![x(), x()], Code::DtypeMismatch, "i32"),
        ("window_put2d", spread([8, 10]), vec![x(), taps([2, 3, 4, 4])], Code::ShapeMismatch, "[2, 3, 4, 5]"),
        ("window_put2d", spread([4, 5]), vec![x(), taps([2, 3, 4, 5])], Code::ShapeMismatch, "windows"),
        ("l2_norm_pool2d_grad", plain(), vec![x(), x(), x()], Code::ShapeMismatch, "[2, 3, 2, 2]"),
        (
            "l2_norm_pool2d_grad",
            plain(),
            vec![x(), Spec::f32([2, 3, 2, 2]), Spec::new([2, 3, 2, 2], DType::I32)],
            Code::DtypeMismatch,
            "f32",
        ),
        ("sorted_l2_norm_pool2d", last.clone(), vec![x()], Code::ShapeMismatch, "5 channels"),
        ("sorted_l2_norm_pool2d", plain(), vec![Spec::f32([2, 3, 4, 6])], Code::InvalidArgument, "nhwc"),
        ("sorted_l2_norm_pool2d_grad", last.clone(), vec![x(), x(), x()], Code::ShapeMismatch, "5 channels"),
        (
            "sorted_l2_norm_pool2d_grad",
            last,
            vec![Spec::f32([2, 4, 4, 6]), x(), x()],
            Code::ShapeMismatch,
            "[2, 2, 2, 6]",
        ),
    ];
    for (op, attributes, inputs, code, part) in wrong {
        let made = crate::registry().make(op, &attributes);
        let inferred = made.and_then(|op| infer(op.as_ref(), &inputs.iter().collect::<Vec<_>>()));
        let error = inferred.expect_err(&format!("{op} {attributes} accepted {inputs:?}"));
        assert_eq!(error.code, code, "{op} {attributes}: {error}");
        assert!(error.message.contains(part), "{op} {attributes}: \"{}\" does not mention {part}", error.message);
    }
}
