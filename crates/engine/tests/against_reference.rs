//! Whole steps, as they are planned and run, against the plain f64 definitions of the ops they were written with.
mod common;
#[path = "../../ops/src/testing/levels.rs"]
mod levels;

use common::{Network, batch};
use ndarray::ArrayD;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use tslip_cpu::executor::memory::Bytes;
use tslip_cpu::executor::{Executor, Leaves};
use tslip_engine::{Engine, build};
use tslip_graph::plan::Assign;
use tslip_graph::reference::evaluate;
use tslip_graph::{DType, Graph, Kind, NodeId, Plan, Spec, StateId};

/// Error of a value of the step relative to its norm: some hundred roundings of f32, one after another.
const STEP_ERROR: f64 = 2e-5;

struct Memory {
    inputs: Vec<Bytes>,
    states: HashMap<StateId, Bytes>,
}

impl Leaves for Memory {
    fn input(&self, index: usize) -> &[u8] {
        self.inputs[index].as_ref()
    }

    fn state(&self, id: StateId) -> &[u8] {
        self.states[&id].as_ref()
    }

    fn version(&self, _id: StateId) -> u64 {
        1
    }
}

fn numbers(bytes: &[u8], spec: &Spec) -> ArrayD<f64> {
    let four = |b: &[u8]| [b[0], b[1], b[2], b[3]];
    let values: Vec<f64> = match spec.dtype {
        DType::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes(four(b)) as f64).collect(),
        DType::I32 => bytes.chunks_exact(4).map(|b| i32::from_le_bytes(four(b)) as f64).collect(),
        DType::U8 | DType::Bool => bytes.iter().map(|&b| b as f64).collect(),
    };
    ArrayD::from_shape_vec(spec.shape.clone(), values).expect("as many numbers as the shape says")
}

fn leaf_values(graph: &Graph, memory: &Memory) -> HashMap<NodeId, ArrayD<f64>> {
    let value = |id: NodeId| match graph.node(id).kind {
        Kind::Input { index, .. } => Some(numbers(memory.input(index), graph.spec(id))),
        Kind::State { id: state, .. } => Some(numbers(memory.state(state), graph.spec(id))),
        Kind::Op(_) => None,
    };
    (0..graph.nodes().len()).filter_map(|id| Some((id, value(id)?))).collect()
}

/// Largest relative error, by norms, of the first moments (a tenth of each gradient) and of the outputs.
fn check(samples: usize) {
    let engine = Engine::new().expect("an engine");
    let net = Network::new(&engine);
    let mut specs: HashMap<StateId, Spec> = HashMap::new();
    for ((id, shape), (m, v)) in net.parameters.iter().zip(&net.moments) {
        specs.extend([id, m, v].map(|&s| (s, Spec::f32(shape.clone()))));
    }
    specs.extend([net.count, net.rate].map(|s| (s, Spec::f32([]))));
    let (graph, request) = build(&net.training_step(samples), |id| specs.get(&id).cloned()).expect("a graph");
    let plan = Plan::new(&graph, &request).expect("a plan");

    let (images, labels) = batch(samples);
    let mut states: HashMap<StateId, Bytes> =
        specs.iter().map(|(&id, spec)| (id, Bytes::zeroed(spec.bytes()).expect("memory"))).collect();
    for (i, (id, shape)) in net.parameters.iter().enumerate() {
        let values = common::noise(i as u64 + 1, shape.iter().product());
        states.insert(*id, Bytes::copy_of(&common::bytes(&values)).expect("memory"));
    }
    states.insert(net.rate, Bytes::copy_of(&common::bytes(&[1e-3])).expect("memory"));
    let memory = Memory { inputs: [images, labels].map(|b| Bytes::copy_of(&b).expect("memory")).into(), states };

    let mut executor = Executor::default();
    executor.run(&plan, &memory, &AtomicBool::new(false), None).expect("a step");
    let moments: Vec<StateId> = net.moments.iter().map(|m| m.0).collect();
    let assigned = |from: &[Assign]| -> Vec<NodeId> {
        moments.iter().map(|m| from.iter().find(|a| a.state == *m).expect("an assign").value).collect()
    };
    let wanted: Vec<NodeId> = request.outputs.iter().copied().chain(assigned(&request.assigns)).collect();
    let planned: Vec<NodeId> = plan.outputs.iter().copied().chain(assigned(&plan.assigns)).collect();
    let exact = evaluate(&graph, &leaf_values(&graph, &memory), &wanted);
    for ((value, node), expected) in planned.iter().zip(&wanted).zip(&exact) {
        let got = numbers(executor.value(&plan, &memory, *value), plan.graph.spec(*value));
        let norm = |a: &ArrayD<f64>| a.mapv(|x| x * x).sum().sqrt();
        let error = norm(&(&got - expected)) / norm(expected);
        assert!(error < STEP_ERROR, "{samples} samples: node {node} of {:?} is off by {error:.1e}", got.shape());
    }
}

#[test]
fn a_step_of_one_sample_of_each_class_agrees_with_the_reference() {
    check(10);
}

#[test]
fn a_step_of_uneven_tasks_chunks_and_spans_agrees_with_the_reference() {
    check(53);
}

#[test]
fn a_step_agrees_with_the_reference_at_every_level_of_instructions() {
    levels::again_at_other_levels("agrees_with_the_reference", &["at_every_level_of_instructions"]);
}
