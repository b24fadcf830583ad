//! An op in all arrangements of axes that it offers: as it is, as it prefers, and following permuted operands.
use ndarray::ArrayD;
use std::sync::Arc;
use tslip_graph::arrange::inverse;
use tslip_graph::graph::infer;
use tslip_graph::{Arranged, Op, Spec};

use super::case::Case;

/// An op with operands arranged for it.
pub struct Variant {
    /// How it differs from the case.
    pub label: String,
    pub op: Arc<dyn Op>,
    pub inputs: Vec<ArrayD<f64>>,
    pub specs: Vec<Spec>,
    pub output: Spec,
    /// The permutation that leads from the canonical result to this one.
    pub permutation: Option<Vec<usize>>,
}

impl Variant {
    /// A result of this variant with its axes in canonical order.
    pub fn undo(&self, result: &ArrayD<f64>) -> ArrayD<f64> {
        match &self.permutation {
            None => result.clone(),
            Some(axes) => permute(result, &inverse(axes)),
        }
    }

    /// The f64 definition of this variant's result.
    pub fn reference(&self) -> ArrayD<f64> {
        self.op.reference(&self.inputs.iter().collect::<Vec<_>>(), &self.output)
    }
}

/// All variants of a case, the case itself first.
pub fn variants(case: &Case) -> Result<Vec<Variant>, String> {
    let op = crate::registry().make(case.op, &case.attributes).map_err(|e| e.to_string())?;
    let values = case.values();
    let specs: Vec<&Spec> = case.inputs.iter().map(|i| &i.spec).collect();
    let plain = Arranged { op: op.clone(), inputs: vec![None; specs.len()], output: None };
    let mut out = vec![variant("plain".into(), plain, case, &values)?];
    if let Some(arranged) = op.arranged(&specs) {
        out.push(variant("arranged".into(), arranged, case, &values)?);
    }
    let largest = specs.iter().max_by_key(|s| s.len()).map_or(0, |s| s.rank());
    for axes in permutations(largest).into_iter().skip(1) {
        if let Some(permuted) = op.permuted(&axes, &specs) {
            out.push(variant(format!("permuted by {axes:?}"), permuted, case, &values)?);
        }
    }
    Ok(out)
}

fn variant(label: String, arranged: Arranged, case: &Case, values: &[ArrayD<f64>]) -> Result<Variant, String> {
    if arranged.inputs.len() != values.len() {
        return Err(format!("{label}: {} permutations for {} operands", arranged.inputs.len(), values.len()));
    }
    let inputs: Vec<ArrayD<f64>> = (values.iter().zip(&arranged.inputs))
        .map(|(x, axes)| axes.as_ref().map_or_else(|| x.clone(), |axes| permute(x, axes)))
        .collect();
    let specs: Vec<Spec> = inputs.iter().zip(&case.inputs).map(|(x, i)| Spec::new(x.shape(), i.spec.dtype)).collect();
    let output = infer(arranged.op.as_ref(), &specs.iter().collect::<Vec<_>>()).map_err(|e| format!("{label}: {e}"))?;
    Ok(Variant { label, op: arranged.op, inputs, specs, output, permutation: arranged.output })
}

fn permute(x: &ArrayD<f64>, axes: &[usize]) -> ArrayD<f64> {
    x.view().permuted_axes(axes).as_standard_layout().into_owned()
}

/// All orders of `0..n`, the identity first.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    let place = |at: usize| {
        shorter.iter().map(move |rest| {
            let mut axes = rest.clone();
            axes.insert(at, n - 1);
            axes
        })
    };
    (0..n).rev().flat_map(place).collect()
}
