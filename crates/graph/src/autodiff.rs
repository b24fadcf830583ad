//! Reverse-mode differentiation: cotangents are ordinary nodes, so derivatives of derivatives need nothing more.
use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::graph::{Graph, Kind, NodeId};
use crate::op::Vjp;
use crate::spec::{DType, Spec};

/// Gradients of the scalar `loss` with respect to each of `wrt`; zeros where the loss does not depend on it.
pub fn gradients(graph: &mut Graph, loss: NodeId, wrt: &[NodeId]) -> Result<Vec<NodeId>> {
    let spec = graph.spec(loss).clone();
    if spec.dtype != DType::F32 || spec.len() != 1 {
        return Err(Error::shape(format!(
            "grad needs a scalar loss of type f32, not {} of shape {:?}: reduce it with sum() or mean() first",
            spec.dtype, spec.shape
        )));
    }
    if let Some(&w) = wrt.iter().find(|&&w| graph.spec(w).dtype != DType::F32) {
        return Err(Error::dtype(format!(
            "grad with respect to a tensor of type {}: only f32 has gradients",
            graph.spec(w).dtype
        )));
    }
    let needed = depends_on(graph, loss, wrt);
    let mut cotangents: HashMap<NodeId, NodeId> = HashMap::new();
    if needed[loss] {
        cotangents.insert(loss, full(graph, &spec, 1.0)?);
    }
    for id in (0..=loss).rev().filter(|&id| needed[id]) {
        let Some(&cotangent) = cotangents.get(&id) else { continue };
        let node = graph.node(id).clone();
        let Kind::Op(op) = &node.kind else { continue };
        let parts = op.vjp(Vjp { graph, inputs: &node.inputs, output: id, cotangent })?;
        if parts.len() != node.inputs.len() {
            return Err(Error::internal(format!("the VJP of {} returned {} cotangents", op.name(), parts.len())));
        }
        for (&input, part) in node.inputs.iter().zip(parts) {
            let Some(part) = part.filter(|_| needed[input]) else { continue };
            if graph.spec(part) != graph.spec(input) {
                let (got, want) = (graph.shape(part), graph.shape(input));
                return Err(Error::internal(format!(
                    "the VJP of {} gave shape {got:?} for an input of {want:?}",
                    op.name()
                )));
            }
            let sum = match cotangents.get(&input) {
                Some(&other) => graph.insert((graph.registry().basics.add)(), &[other, part])?,
                None => part,
            };
            cotangents.insert(input, sum);
        }
    }
    wrt.iter()
        .map(|w| match cotangents.get(w) {
            Some(&c) => Ok(c),
            None => {
                let spec = graph.spec(*w).clone();
                full(graph, &spec, 0.0)
            }
        })
        .collect()
}

/// Which nodes up to `loss` lie on a path from one of `wrt`.
fn depends_on(graph: &Graph, loss: NodeId, wrt: &[NodeId]) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes().len()];
    for &w in wrt {
        needed[w] = true;
    }
    for id in 0..=loss {
        needed[id] |= graph.node(id).inputs.iter().any(|&i| needed[i]);
    }
    needed
}

fn full(graph: &mut Graph, spec: &Spec, value: f64) -> Result<NodeId> {
    graph.insert((graph.registry().basics.full)(&spec.shape, value), &[])
}
