//! What products refuse, and that a whole batch of rows makes one product in their derivative.
use tslip_graph::{Code, DType, Graph, Kind, Op, Samples, Spec, Vjp};

use super::matmul::Matmul;

#[test]
fn operands_whose_product_is_not_defined_are_refused_with_what_was_given() {
    let plain = Matmul { transpose_a: false, transpose_b: false };
    let turned = Matmul { transpose_a: false, transpose_b: true };
    let f32s = |a: &[usize], b: &[usize]| [Spec::f32(a), Spec::f32(b)];
    let wrong = [
        (plain, f32s(&[2, 3], &[4, 5]), Code::ShapeMismatch, "sums over 3 columns of the one and 4 rows"),
        (turned, f32s(&[2, 3], &[3, 4]), Code::ShapeMismatch, "transposed"),
        (plain, f32s(&[3], &[3, 4]), Code::ShapeMismatch, "[3] is no matrix"),
        (plain, f32s(&[2, 2, 3], &[3, 3, 4]), Code::ShapeMismatch, "do not broadcast"),
        (plain, [Spec::f32([2, 3]), Spec::new([3, 4], DType::I32)], Code::DtypeMismatch, "i32"),
    ];
    for (op, [a, b], code, part) in wrong {
        let error = op.infer(&[&a, &b]).expect_err("the product is not defined");
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "\"{}\" does not mention {part}", error.message);
    }
}

#[test]
fn the_gradient_of_a_shared_matrix_sums_over_samples_and_rows_at_once() {
    let mut graph = Graph::new(crate::registry());
    let x = graph.input(0, Spec::f32([8, 5, 3]), true).expect("a valid leaf");
    let w = graph.input(1, Spec::f32([4, 3]), false).expect("a valid leaf");
    let op = Matmul { transpose_a: false, transpose_b: true };
    let y = graph.emit(op, &[x, w]).expect("a defined product");
    let parts = op.vjp(Vjp { graph: &mut graph, inputs: &[x, w], output: y, cotangent: y }).expect("a VJP");
    let dw = graph.node(parts[1].expect("a gradient"));
    assert_eq!(dw.spec, Spec::f32([4, 3]));
    let Kind::Op(product) = &dw.kind else { panic!("the gradient is no op") };
    assert_eq!((product.name(), graph.shape(dw.inputs[0])), ("matmul", &[40, 4][..]));
    let operands = [0, 1].map(|i| tslip_graph::Operand { spec: graph.spec(dw.inputs[i]), batched: true });
    assert_eq!(product.samples(&operands, &dw.spec), Samples::Sum { sliced: vec![true, true] });
}
