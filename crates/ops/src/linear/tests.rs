//! What products and factorizations refuse, that a whole batch of rows makes one product in their derivative, and how far a factor may be
//! from that of its matrix.
use ndarray::Array2;
use serde_json::json;
use tslip_graph::{Code, DType, Graph, Kind, Op, Samples, Spec, Vjp};

use super::inverse_cholesky::InverseCholesky;
use super::matmul::Matmul;
use crate::testing::case::Numbers;
use crate::testing::kernel::{Operand, whole};

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

#[test]
fn what_is_no_square_matrix_has_no_factor() {
    let wrong = [
        (Spec::f32([3]), Code::ShapeMismatch, "[..., n, n]"),
        (Spec::f32([2, 3]), Code::ShapeMismatch, "[2, 3]"),
        (Spec::f32([3, 3, 2]), Code::ShapeMismatch, "[3, 3, 2]"),
        (Spec::f32([0, 0]), Code::ShapeMismatch, "at least one row"),
        (Spec::f32([0, 2, 2]), Code::ShapeMismatch, "at least one row"),
        (Spec::new([2, 2], DType::I32), Code::DtypeMismatch, "i32"),
    ];
    for (a, code, part) in wrong {
        let error = InverseCholesky {}.infer(&[&a]).expect_err("it has no factor");
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "\"{}\" does not mention {part}", error.message);
    }
}

/// X A Xᵀ - I in f64 where entries of X are the nearest floats: relative to |X| |A| |Xᵀ| two roundings of 2^-24 and those of the factor.
const NEAREST: f64 = 1.3e-7;

#[test]
fn the_factor_of_an_ill_conditioned_matrix_is_as_exact_as_floats_are() {
    for n in [8, 33, 96, 257] {
        // A condition number of some 10^5.
        let mut numbers = Numbers(n as u64);
        let size = |i: usize| 300_f64.powf(-(i as f64) / n as f64);
        let rows = Array2::from_shape_fn((2 * n, n), |(i, _)| numbers.normal() * size(i));
        let a = rows.t().dot(&rows).mapv(|v| f64::from(v as f32));
        let op = crate::registry().make("inverse_cholesky", &json!({})).expect("it has no attributes");
        let spec = Spec::f32([n, n]);
        let x = whole(op.as_ref(), &[Operand::new(&a.clone().into_dyn(), DType::F32)], &spec).array(&[n, n]);
        let x = x.into_dimensionality::<ndarray::Ix2>().expect("a matrix");
        let magnitudes = x.mapv(f64::abs);
        let (product, sizes) = (x.dot(&a).dot(&x.t()), magnitudes.dot(&a.mapv(f64::abs)).dot(&magnitudes.t()));
        for ((i, j), value) in product.indexed_iter() {
            let error = (value - if i == j { 1.0 } else { 0.0 }).abs();
            assert!(error <= NEAREST * sizes[[i, j]], "n {n}, ({i}, {j}): {error:e} of {:e}", sizes[[i, j]]);
        }
    }
}
