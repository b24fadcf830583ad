//! Registration, shapes, kernels and arrangements of every op.
use ndarray::ArrayD;
use serde_json::json;
use std::collections::BTreeSet;
use tslip_graph::graph::infer;
use tslip_graph::{Accuracy, DType, Spec};

use super::case::{Case, EXACT, Tolerance};
use super::kernel::{Operand, whole};
use super::levels::again_at_other_levels;
use super::variants::variants;
use super::{cases, each_case};

/// References in two arrangements differ by the order in which they add, in f64.
const REORDERED: f64 = 1e-10;
/// Ops that take one operand or more.
const VARIADIC: [&str; 1] = ["concat"];

#[test]
fn every_registered_op_has_cases() {
    let tried: BTreeSet<&str> = cases().iter().map(|c| c.op).collect();
    let registered: BTreeSet<&str> = crate::registry().names().collect();
    let untried: Vec<_> = registered.difference(&tried).collect();
    let unknown: Vec<_> = tried.difference(&registered).collect();
    assert!(untried.is_empty() && unknown.is_empty(), "ops without cases: {untried:?}; cases without ops: {unknown:?}");
}

#[test]
fn attributes_survive_the_way_through_json_and_unknown_ones_are_refused() {
    each_case(|case| {
        let op = crate::registry().make(case.op, &case.attributes).map_err(|e| e.to_string())?;
        if op.name() != case.op {
            return Err(format!("registered as {} but calls itself {}", case.op, op.name()));
        }
        let text = op.attributes().to_string();
        let again: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let twin = crate::registry().make(case.op, &again).map_err(|e| e.to_string())?;
        if twin.attributes() != op.attributes() {
            return Err(format!("attributes {text} became {}", twin.attributes()));
        }
        let mut odd = case.attributes.clone();
        odd["thatNobodyKnows"] = json!(1);
        match crate::registry().make(case.op, &odd) {
            Ok(_) => Err("an unknown attribute was accepted".into()),
            Err(_) => Ok(()),
        }
    });
}

#[test]
fn a_wrong_number_of_operands_or_a_wrong_type_is_an_error_that_names_the_op() {
    each_case(|case| {
        let op = crate::registry().make(case.op, &case.attributes).map_err(|e| e.to_string())?;
        let specs: Vec<Spec> = case.inputs.iter().map(|i| i.spec.clone()).collect();
        let given: Vec<&Spec> = specs.iter().collect();
        let extra = Spec::f32([2]);
        let more: Vec<&Spec> = given.iter().copied().chain([&extra, &extra]).collect();
        let fewer = &given[..given.len().saturating_sub(1)];
        let variadic = VARIADIC.contains(&case.op);
        let mut wrong = vec![];
        if !variadic {
            wrong.push(more);
        }
        if given.len() == 1 || (!variadic && !given.is_empty()) {
            wrong.push(fewer.to_vec());
        }
        for inputs in wrong {
            match infer(op.as_ref(), &inputs) {
                Ok(_) => return Err(format!("{} operands were accepted", inputs.len())),
                Err(e) if e.op.as_deref() == Some(case.op) => {}
                Err(e) => return Err(format!("the error does not name the op: {e}")),
            }
        }
        // Other types may be allowed; they must not panic.
        for dtype in [DType::F32, DType::I32, DType::U8, DType::Bool] {
            let other: Vec<Spec> = specs.iter().map(|s| Spec::new(s.shape.clone(), dtype)).collect();
            let _ = infer(op.as_ref(), &other.iter().collect::<Vec<_>>());
        }
        Ok(())
    });
}

#[test]
fn kernels_agree_with_the_reference_in_every_arrangement() {
    each_case(|case| {
        let all = variants(case)?;
        let canonical = all[0].reference();
        for v in &all {
            let reference = v.reference();
            if reference.shape() != v.output.shape {
                return Err(format!(
                    "{}: inferred shape {:?}, the reference has {:?}",
                    v.label,
                    v.output.shape,
                    reference.shape()
                ));
            }
            let reordered = Tolerance { of_element: REORDERED, of_largest: REORDERED, absolute: REORDERED };
            compare(&v.undo(&reference), &canonical, reordered).map_err(|e| format!("{}, reference: {e}", v.label))?;
            let operands: Vec<Operand> = v.inputs.iter().zip(&v.specs).map(|(x, s)| Operand::new(x, s.dtype)).collect();
            let got = whole(v.op.as_ref(), &operands, &v.output);
            let want = rounded(&reference, v.output.dtype);
            compare(&got.array(&v.output.shape), &want, case.tolerance).map_err(|e| format!("{}: {e}", v.label))?;
            if whole(v.op.as_ref(), &operands, &v.output).bits() != got.bits() {
                return Err(format!("{}: two runs gave different bits", v.label));
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_declared_exact_gives_what_the_definition_gives_and_no_arrangement_is_less_exact() {
    each_case(|case| {
        let all = variants(case)?;
        let declared = all[0].op.accuracy();
        for v in &all {
            if !v.op.accuracy().covers(declared) {
                return Err(format!("{}: {:?}, not {declared:?}", v.label, v.op.accuracy()));
            }
            if declared == Accuracy::Exact {
                let operands: Vec<Operand> =
                    v.inputs.iter().zip(&v.specs).map(|(x, s)| Operand::new(x, s.dtype)).collect();
                let got = whole(v.op.as_ref(), &operands, &v.output).array(&v.output.shape);
                compare(&got, &v.reference(), EXACT).map_err(|e| format!("{}: {e}", v.label))?;
            }
        }
        Ok(())
    });
}

/// The reference in the type that the kernel writes.
pub fn rounded(x: &ArrayD<f64>, dtype: DType) -> ArrayD<f64> {
    if dtype == DType::F32 { x.mapv(|v| f64::from(v as f32)) } else { x.clone() }
}

/// The first element that is too far off.
pub fn compare(got: &ArrayD<f64>, want: &ArrayD<f64>, tolerance: Tolerance) -> Result<(), String> {
    if got.shape() != want.shape() {
        return Err(format!("shape {:?} instead of {:?}", got.shape(), want.shape()));
    }
    let largest = want.iter().filter(|v| v.is_finite()).fold(0.0_f64, |m, v| m.max(v.abs()));
    for (index, (&g, &w)) in got.iter().zip(want).enumerate() {
        let near = match (g.is_nan(), w.is_nan()) {
            (true, true) => true,
            (false, false) => {
                let allowed = tolerance.of_element * w.abs() + tolerance.of_largest * largest + tolerance.absolute;
                // An infinite reference leaves no room, whatever the tolerance.
                g == w || (w.is_finite() && (g - w).abs() <= allowed)
            }
            _ => false,
        };
        if !near {
            return Err(format!("element {index} is {g:e} instead of {w:e}"));
        }
    }
    Ok(())
}

#[test]
fn every_case_is_the_same_each_time_it_is_drawn() {
    each_case(|case: &Case| {
        let bits = |values: Vec<ArrayD<f64>>| -> Vec<u64> { values.iter().flatten().map(|v| v.to_bits()).collect() };
        if bits(case.values()) == bits(case.values()) { Ok(()) } else { Err("the values differ".into()) }
    });
}

#[test]
fn every_op_keeps_its_promises_at_every_level_of_instructions() {
    // What a GPU computes does not depend on the CPU's instructions.
    again_at_other_levels("testing::", &["at_every_level_of_instructions", "testing::gpu", "testing::rejected"]);
}
