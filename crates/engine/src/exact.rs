//! A described function in float64, by the plain definitions of its ops: slow, for checks of what engines compute.
use std::collections::HashMap;

use ndarray::ArrayD;
use tslip_graph::reference::evaluate;
use tslip_graph::{DType, Error, Kind, NodeId, Result, Spec, StateId};

use crate::compile::{GraphDescription, build};
use crate::state::State;

/// Values of the outputs, row-major, for the bytes of the inputs and the states as they are.
///
/// # Errors
/// Those of planning the function, and `INVALID_ARGUMENT` for an input of the wrong size or a state whose newest value is on a GPU.
pub fn exact(
    description: &GraphDescription,
    inputs: &[&[u8]],
    state: impl Fn(StateId) -> Result<std::sync::Arc<State>>,
) -> Result<Vec<Vec<f64>>> {
    let (graph, request) = build(description, |id| state(id).ok().map(|s| s.spec.clone()))?;
    let mut leaves: HashMap<NodeId, ArrayD<f64>> = HashMap::new();
    for id in 0..graph.nodes().len() {
        let spec = graph.spec(id);
        let value = match graph.node(id).kind {
            Kind::Input { index, .. } => numbers(inputs.get(index).copied().unwrap_or_default(), spec)?,
            Kind::State { id: number, .. } => {
                let state = state(number)?;
                if state.away().is_some() {
                    return Err(Error::argument(format!("state {number} is on a GPU: read it, then ask again")));
                }
                numbers(state.read().as_ref(), spec)?
            }
            Kind::Op(_) => continue,
        };
        leaves.insert(id, value);
    }
    Ok(evaluate(&graph, &leaves, &request.outputs).into_iter().map(|value| value.iter().copied().collect()).collect())
}

fn numbers(bytes: &[u8], spec: &Spec) -> Result<ArrayD<f64>> {
    let four = |b: &[u8]| [b[0], b[1], b[2], b[3]];
    let values: Vec<f64> = match spec.dtype {
        DType::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(four(b)))).collect(),
        DType::I32 => bytes.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(four(b)))).collect(),
        DType::U8 | DType::Bool => bytes.iter().copied().map(f64::from).collect(),
    };
    let given = bytes.len();
    ArrayD::from_shape_vec(spec.shape.clone(), values).map_err(|_| {
        Error::argument(format!("{given} bytes are no {} of shape {:?}; give {}", spec.dtype, spec.shape, spec.bytes()))
    })
}
