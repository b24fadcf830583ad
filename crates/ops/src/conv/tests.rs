//! What convolutions refuse, and what becomes of their bias.
use serde_json::{Value, json};
use tslip_graph::arrange::{arrange, live};
use tslip_graph::autodiff::gradients;
use tslip_graph::fuse::fuse;
use tslip_graph::graph::infer;
use tslip_graph::{Code, DType, Graph, Kind, NodeId, Spec};

use super::cases::operators;
use super::convolution_norm::ConvolutionNorm;
use super::convolution_top_vector::ConvolutionTopVector;
use crate::testing::by_name;
use crate::testing::gradients::{Leaves, agree, inner, leaf, random};

fn with(key: &str, value: Value) -> Value {
    let mut attributes = json!({ "stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1], "groups": 1 });
    attributes[key] = value;
    attributes
}

#[test]
fn extents_that_do_not_go_together_are_refused_with_what_was_given() {
    let (x, w) = (|| Spec::f32([2, 4, 5, 6]), || Spec::f32([8, 4, 3, 3]));
    let huge = u64::MAX;
    let both = || vec![x(), w()];
    let plain = || with("groups", json!(1));
    let wrong: [(&str, Value, Vec<Spec>, Code, &str); 24] = [
        ("conv2d", with("stride", json!([0, 1])), both(), Code::InvalidArgument, "stride [0, 1]"),
        ("conv2d", with("dilation", json!([1, 0])), both(), Code::InvalidArgument, "dilation [1, 0]"),
        ("conv2d", with("groups", json!(0)), both(), Code::InvalidArgument, "groups 0"),
        ("conv2d", with("groups", json!(2)), both(), Code::ShapeMismatch, "2 groups"),
        ("conv2d", with("groups", json!(huge)), both(), Code::ShapeMismatch, "groups"),
        ("conv2d", with("stride", json!([-1, 1])), both(), Code::InvalidArgument, "-1"),
        ("conv2d", with("stride", json!([1.5, 1])), both(), Code::InvalidArgument, "1.5"),
        ("conv2d", with("dilation", json!([3, 1])), both(), Code::ShapeMismatch, "7 pixels of height"),
        ("conv2d", with("dilation", json!([1, huge])), both(), Code::ShapeMismatch, "width"),
        ("conv2d", with("padding", json!([huge, 0, 1, 0])), both(), Code::ShapeMismatch, "height"),
        ("conv2d", with("padding", json!([0, 1u64 << 31, 0, 0])), both(), Code::ShapeMismatch, "width"),
        ("conv2d", plain(), vec![x(), Spec::f32([8, 3, 3, 3])], Code::ShapeMismatch, "4 input channels"),
        ("conv2d", plain(), vec![x(), Spec::f32([8, 4, 0, 3])], Code::ShapeMismatch, "0x3"),
        ("conv2d", plain(), vec![x(), Spec::f32([0, 4, 3, 3])], Code::ShapeMismatch, "0 output channels"),
        ("conv2d", plain(), vec![Spec::f32([2, 0, 5, 6]), Spec::f32([8, 0, 3, 3])], Code::ShapeMismatch, "0 input"),
        ("conv2d", plain(), vec![Spec::f32([2, 4, 0, 6]), w()], Code::ShapeMismatch, "0x6"),
        ("conv2d", plain(), vec![Spec::f32([4, 5, 6]), w()], Code::ShapeMismatch, "four axes"),
        ("conv2d", plain(), vec![x(), Spec::new([8, 4, 3, 3], DType::I32)], Code::DtypeMismatch, "i32"),
        ("conv2d_input_grad", with("inputSize", json!([5, 6])), both(), Code::ShapeMismatch, "not 4 of 5x6"),
        ("conv2d_input_grad", with("inputSize", json!([0, 6])), both(), Code::ShapeMismatch, "0x6"),
        ("conv2d_input_grad", with("inputSize", json!([huge, 6])), both(), Code::ShapeMismatch, "height"),
        ("conv2d_weight_grad", with("kernelSize", json!([0, 3])), both(), Code::ShapeMismatch, "0x3"),
        ("conv2d_weight_grad", with("kernelSize", json!([3, huge])), both(), Code::ShapeMismatch, "width"),
        ("conv2d_weight_grad", with("kernelSize", json!([2, 3])), both(), Code::ShapeMismatch, "give 2 of 4x4"),
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
fn padding_that_needs_more_memory_than_there_is_is_refused_even_where_the_result_is_small() {
    let mut attributes = with("stride", json!([1u64 << 30, 1u64 << 30]));
    attributes["padding"] = json!([0, 0, 1u64 << 30, 1u64 << 30]);
    let op = crate::registry().make("conv2d", &attributes).expect("valid attributes");
    let error = infer(op.as_ref(), &[&Spec::f32([1, 4, 5, 6]), &Spec::f32([8, 4, 3, 3])]).expect_err("fits nowhere");
    assert_eq!(error.code, Code::ShapeMismatch);
    assert!(error.message.contains("memory"), "{error}");
}

#[test]
fn strides_beyond_the_image_take_one_window() {
    let op = crate::registry().make("conv2d", &with("stride", json!([u64::MAX, u64::MAX]))).expect("valid attributes");
    let spec = infer(op.as_ref(), &[&Spec::f32([1, 4, 5, 6]), &Spec::f32([8, 4, 3, 3])]).expect("one window fits");
    assert_eq!(spec.shape, [1, 8, 1, 1]);
}

#[test]
fn a_convolution_and_its_bias_run_at_once_unless_the_convolution_is_needed_itself() {
    let mut graph = Graph::new(crate::registry());
    let mut leaf = |i: usize, shape: &[usize]| graph.input(i, Spec::f32(shape), i == 0).expect("a valid leaf");
    let (x, w, b) = (leaf(0, &[2, 4, 5, 6]), leaf(1, &[8, 4, 3, 3]), leaf(2, &[8]));
    let y = by_name(&mut graph, "conv2d", &with("groups", json!(1)), &[x, w]).expect("extents that go together");
    let bias = by_name(&mut graph, "reshape", &json!({ "shape": [1, 8, 1, 1] }), &[b]).expect("as many elements");
    let sum = by_name(&mut graph, "add", &json!({}), &[bias, y]).expect("shapes that broadcast");
    let ops = |roots: &[NodeId]| {
        let (arranged, roots) = arrange(&graph, roots).expect("a valid graph");
        let (fused, roots) = fuse(&arranged, &roots).expect("a valid graph");
        let name = |&id: &NodeId| if let Kind::Op(op) = &fused.node(id).kind { op.name() } else { "leaf" };
        live(&fused, &roots).iter().map(name).collect::<Vec<_>>()
    };
    let alone = ops(&[sum]);
    assert!(alone.contains(&"conv2d_bias") && !alone.contains(&"conv2d") && !alone.contains(&"add"), "{alone:?}");
    let both = ops(&[sum, y]);
    assert!(both.contains(&"add") && !both.contains(&"conv2d_bias"), "{both:?}");
}

#[test]
fn a_bias_of_another_shape_or_layout_is_refused() {
    let specs = |bias: &[usize]| [Spec::f32([2, 5, 6, 4]), Spec::f32([3, 3, 4, 8]), Spec::f32(bias)];
    for (layout, bias, part) in [("nhwc", &[8usize][..], "[1, 1, 1, 8]"), ("nchw", &[1, 1, 1, 8], "nhwc")] {
        let op = crate::registry().make("conv2d_bias", &with("layout", json!(layout))).expect("valid attributes");
        let error = infer(op.as_ref(), &specs(bias).each_ref()).expect_err("not what the kernel takes");
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn the_norm_of_a_convolution_agrees_with_central_differences_once_and_twice() {
    for (operator, shape) in operators().into_iter().filter(|(operator, _)| operator.most > 1.0) {
        let (mut graph, mut leaves) = (Graph::new(crate::registry()), Leaves::new());
        let checked = (|| {
            let text = |e: tslip_graph::Error| e.to_string();
            let w = leaf(&mut graph, &mut leaves, Spec::f32(shape), random(&shape, 3))?;
            let v = graph.emit(ConvolutionTopVector(operator.clone()), &[w]).map_err(text)?;
            let norm = graph.emit(ConvolutionNorm(operator.clone()), &[w, v]).map_err(text)?;
            let slopes = gradients(&mut graph, norm, &[w]).map_err(text)?;
            agree(&graph, &leaves, norm, &[w], &slopes)?;
            let direction = leaf(&mut graph, &mut leaves, Spec::f32(shape), random(&shape, 17))?;
            let along = inner(&mut graph, slopes[0], direction)?;
            let curvatures = gradients(&mut graph, along, &[w]).map_err(text)?;
            agree(&graph, &leaves, along, &[w], &curvatures)
        })();
        checked.unwrap_or_else(|e| panic!("{operator:?} with {shape:?}: {e}"));
    }
}
