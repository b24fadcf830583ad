//! From the description of a traced function to a plan.
use serde::Deserialize;
use serde_json::Value;
use tslip_graph::autodiff::gradients;
use tslip_graph::plan::Assign;
use tslip_graph::{DType, Error, Graph, Kind, NodeId, Plan, Request, Result, Spec, StateId};

/// A traced function as it is sent: nodes in topological order, what to return and what to assign.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphDescription {
    nodes: Vec<NodeDescription>,
    outputs: Vec<usize>,
    #[serde(default)]
    assigns: Vec<AssignDescription>,
    batch: Option<usize>,
    #[serde(default)]
    device: DeviceName,
}

/// Where a function runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU.
    #[default]
    Cpu,
    /// A GPU by its position among the adapters.
    Gpu(usize),
}

impl<'de> Deserialize<'de> for DeviceName {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let number = name.strip_prefix("gpu:").and_then(|n| n.parse().ok());
        match (name.as_str(), number) {
            ("cpu", _) => Ok(DeviceName::Cpu),
            ("gpu", _) => Ok(DeviceName::Gpu(0)),
            (_, Some(index)) => Ok(DeviceName::Gpu(index)),
            _ => Err(serde::de::Error::custom(format!("there is no device \"{name}\""))),
        }
    }
}

impl GraphDescription {
    /// The GPU on which it is to run, if it is one.
    pub fn gpu(&self) -> Option<usize> {
        match self.device {
            DeviceName::Cpu => None,
            DeviceName::Gpu(index) => Some(index),
        }
    }
}

#[derive(Debug, Deserialize)]
struct NodeDescription {
    op: String,
    #[serde(default)]
    attributes: Value,
    #[serde(default)]
    inputs: Vec<usize>,
    shape: Option<Vec<usize>>,
    dtype: Option<DType>,
    #[serde(default)]
    batched: bool,
}

#[derive(Debug, Deserialize)]
struct AssignDescription {
    state: StateId,
    value: usize,
}

/// Plans a described function. `state` answers the spec of a state, or nothing if there is no such state.
pub fn compile(description: &GraphDescription, state: impl Fn(StateId) -> Option<Spec>) -> Result<Plan> {
    let (graph, request) = build(description, state)?;
    Plan::new(&graph, &request)
}

/// The differentiated graph of a described function, and what is asked of it.
pub fn build(description: &GraphDescription, state: impl Fn(StateId) -> Option<Spec>) -> Result<(Graph, Request)> {
    let mut graph = Graph::new(tslip_ops::registry());
    let mut ids: Vec<NodeId> = Vec::with_capacity(description.nodes.len());
    for (at, node) in description.nodes.iter().enumerate() {
        let inputs = resolve(&node.inputs, &ids, at)?;
        let id = match node.op.as_str() {
            "input" => {
                let index = number(&node.attributes, "index")?;
                graph.input(index, node.spec()?, node.batched)?
            }
            "state" => {
                let id = number(&node.attributes, "id")? as StateId;
                let known =
                    state(id).ok_or_else(|| Error::argument(format!("there is no state {id}: was it freed?")))?;
                graph.state(id, known, node.batched)?
            }
            "grad" => match inputs[..] {
                [loss, wrt] => gradients(&mut graph, loss, &[wrt])?[0],
                _ => return Err(Error::argument("grad takes a loss and one tensor to differentiate by")),
            },
            name => graph.insert(graph.registry().make(name, &node.attributes)?, &inputs)?,
        };
        ids.push(id);
    }
    let outputs = resolve(&description.outputs, &ids, ids.len())?;
    let mut assigns = Vec::new();
    for assign in &description.assigns {
        let value = resolve(&[assign.value], &ids, ids.len())?[0];
        let spec = state(assign.state).ok_or_else(|| Error::argument(format!("there is no state {}", assign.state)))?;
        if *graph.spec(value) != spec {
            let got = graph.spec(value);
            return Err(Error::shape(format!(
                "a state of shape {:?} and type {} cannot be assigned a tensor of shape {:?} and type {}",
                spec.shape, spec.dtype, got.shape, got.dtype
            )));
        }
        if assigns.iter().any(|known: &Assign| known.state == assign.state) {
            return Err(Error::argument(format!("state {} is assigned twice in one step", assign.state)));
        }
        let whole = Assign { state: assign.state, value, unless: None };
        // A GPU chooses in the kernel that writes.
        assigns.push(if description.gpu().is_none() { conditional(&graph, whole) } else { whole });
    }
    Ok((graph, Request { outputs, assigns, batch: description.batch }))
}

/// Of a state that is set to `where(condition, itself, value)` with one condition for all of it, the same as a condition of its assignment,
/// which spares a copy of the state.
fn conditional(graph: &Graph, assign: Assign) -> Assign {
    let inputs = |node: NodeId, op: &str| match &graph.node(node).kind {
        Kind::Op(of) if of.name() == op => graph.node(node).inputs.as_slice(),
        _ => &[],
    };
    let [condition, kept, value] = *inputs(assign.value, "where") else { return assign };
    let condition = inputs(condition, "broadcast_to").first().map_or(condition, |&of| of);
    let itself = matches!(graph.node(kept).kind, Kind::State { id, .. } if id == assign.state);
    let one = graph.shape(condition).is_empty();
    let same = graph.spec(value) == graph.spec(assign.value);
    if itself && one && same { Assign { value, unless: Some(condition), ..assign } } else { assign }
}

impl NodeDescription {
    fn spec(&self) -> Result<Spec> {
        match (&self.shape, self.dtype) {
            (Some(shape), Some(dtype)) => Ok(Spec::new(shape.clone(), dtype)),
            _ => Err(Error::argument(format!("an {} node needs a shape and a dtype", self.op))),
        }
    }
}

fn resolve(indices: &[usize], ids: &[NodeId], at: usize) -> Result<Vec<NodeId>> {
    let find = |&i: &usize| {
        ids.get(i)
            .copied()
            .ok_or_else(|| Error::argument(format!("node {at} refers to node {i}, which does not precede it")))
    };
    indices.iter().map(find).collect()
}

fn number(attributes: &Value, key: &str) -> Result<usize> {
    let value = attributes.get(key).and_then(Value::as_u64);
    value.map(|v| v as usize).ok_or_else(|| Error::argument(format!("attribute \"{key}\" must be an integer >= 0")))
}
