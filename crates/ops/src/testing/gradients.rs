//! VJPs against central differences of the reference, once and twice.
use ndarray::ArrayD;
use std::collections::HashMap;
use tslip_graph::autodiff::gradients;
use tslip_graph::reference::evaluate;
use tslip_graph::{DType, Graph, NodeId, Spec};

use super::case::{Case, Numbers, Tolerance};
use super::every_op::compare;
use super::{by_name, each_case};
use crate::emit::Emit;

/// Central differences with steps h and 2 h, extrapolated to none (Richardson), err by h⁴ times a fifth derivative, and by rounding over h.
const STEP: f64 = 1e-5;
/// What both together may amount to.
const DIFFERENCES: Tolerance = Tolerance { of_element: 2e-6, of_largest: 2e-7, absolute: 0.0 };
/// Coordinates that are compared in each operand.
const COORDINATES: usize = 60;

/// Values of inputs.
pub type Leaves = HashMap<NodeId, ArrayD<f64>>;

#[test]
fn gradients_agree_with_central_differences_of_the_reference() {
    each_case(|case| {
        if !case.smooth {
            return Ok(());
        }
        let Trial { mut graph, leaves, loss, wrt } = trial(case)?;
        let slopes = gradients(&mut graph, loss, &wrt).map_err(|e| e.to_string())?;
        agree(&graph, &leaves, loss, &wrt, &slopes)
    });
}

#[test]
fn second_derivatives_agree_with_central_differences() {
    each_case(|case| {
        if !case.smooth {
            return Ok(());
        }
        let Trial { mut graph, mut leaves, loss, wrt } = trial(case)?;
        let slopes = gradients(&mut graph, loss, &wrt).map_err(|e| e.to_string())?;
        let mut directional = graph.scalar(0.0).map_err(|e| e.to_string())?;
        for slope in slopes {
            let shape = graph.shape(slope).to_vec();
            let direction = leaf(&mut graph, &mut leaves, Spec::f32(shape.clone()), random(&shape, 17))?;
            let part = inner(&mut graph, slope, direction)?;
            directional = graph.add(directional, part).map_err(|e| e.to_string())?;
        }
        let curvatures = gradients(&mut graph, directional, &wrt).map_err(|e| e.to_string())?;
        agree(&graph, &leaves, directional, &wrt, &curvatures)
    });
}

#[test]
fn cases_that_are_not_smooth_still_have_gradients_of_the_right_shape() {
    each_case(|case| {
        let Ok(Trial { mut graph, leaves, loss, wrt }) = trial(case) else { return Ok(()) };
        let slopes = gradients(&mut graph, loss, &wrt).map_err(|e| e.to_string())?;
        evaluate(&graph, &leaves, &slopes);
        Ok(())
    });
}

/// The scalar `<cotangent, op(inputs)>` and the leaves it is a function of.
struct Trial {
    graph: Graph,
    leaves: Leaves,
    loss: NodeId,
    wrt: Vec<NodeId>,
}

fn trial(case: &Case) -> Result<Trial, String> {
    let (mut graph, mut leaves) = (Graph::new(crate::registry()), Leaves::new());
    let mut inputs = Vec::new();
    for (input, value) in case.inputs.iter().zip(case.values()) {
        inputs.push(leaf(&mut graph, &mut leaves, input.spec.clone(), value)?);
    }
    let y = by_name(&mut graph, case.op, &case.attributes, &inputs).map_err(|e| e.to_string())?;
    if graph.spec(y).dtype != DType::F32 {
        return Err("the result is no float: say not_smooth()".into());
    }
    let shape = graph.shape(y).to_vec();
    let cotangent = leaf(&mut graph, &mut leaves, Spec::f32(shape.clone()), random(&shape, 5))?;
    let loss = inner(&mut graph, y, cotangent)?;
    let wrt = (inputs.into_iter().filter(|&i| graph.spec(i).dtype == DType::F32)).chain([cotangent]).collect();
    Ok(Trial { graph, leaves, loss, wrt })
}

/// An input with a value.
pub fn leaf(graph: &mut Graph, leaves: &mut Leaves, spec: Spec, value: ArrayD<f64>) -> Result<NodeId, String> {
    let id = graph.input(leaves.len(), spec, false).map_err(|e| e.to_string())?;
    leaves.insert(id, value);
    Ok(id)
}

/// The sum of all products.
pub fn inner(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId, String> {
    let axes: Vec<usize> = (0..graph.shape(a).len()).collect();
    let product = graph.mul(a, b).map_err(|e| e.to_string())?;
    graph.sum(product, &axes, false).map_err(|e| e.to_string())
}

/// Normal numbers.
pub fn random(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut numbers = Numbers(seed);
    ArrayD::from_shape_fn(shape, |_| numbers.normal())
}

/// Compares the value of `slopes` with differences of `scalar` in up to `COORDINATES` coordinates of each leaf.
pub fn agree(graph: &Graph, leaves: &Leaves, scalar: NodeId, wrt: &[NodeId], slopes: &[NodeId]) -> Result<(), String> {
    let values = evaluate(graph, leaves, slopes);
    for (which, (leaf, slope)) in wrt.iter().zip(&values).enumerate() {
        let n = leaves[leaf].len();
        let picked: Vec<usize> = (0..n).step_by(n.div_ceil(COORDINATES).max(1)).collect();
        let differences: Vec<f64> = picked.iter().map(|&at| difference(graph, leaves, scalar, *leaf, at)).collect();
        let flat: Vec<f64> = slope.iter().copied().collect();
        let got: ArrayD<f64> = picked.iter().map(|&at| flat[at]).collect::<ndarray::Array1<f64>>().into_dyn();
        let want = ndarray::Array1::from(differences).into_dyn();
        // Differences of a sum cannot be told from rounding below the size of its terms.
        let scale = 1.0 + evaluate(graph, leaves, &[scalar])[0].iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let floor = 1e-8 * scale;
        let near = |(g, w): (&f64, &f64)| (g - w).abs() <= floor;
        if !got.iter().zip(&want).all(near) {
            compare(&got, &want, DIFFERENCES).map_err(|e| format!("with respect to float operand {which}: {e}"))?;
        }
    }
    Ok(())
}

fn difference(graph: &Graph, leaves: &Leaves, scalar: NodeId, leaf: NodeId, at: usize) -> f64 {
    let mut moved = leaves.clone();
    let here = leaves[&leaf].iter().nth(at).copied().unwrap_or_default();
    let mut value = |x: f64| {
        if let Some(v) = moved.get_mut(&leaf).and_then(|a| a.iter_mut().nth(at)) {
            *v = x;
        }
        evaluate(graph, &moved, &[scalar])[0].iter().sum::<f64>()
    };
    let mut central = |step: f64| (value(here + step) - value(here - step)) / (2.0 * step);
    let step = STEP * here.abs().max(1.0);
    (4.0 * central(step) - central(2.0 * step)) / 3.0
}
