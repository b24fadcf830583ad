//! What the executor does not take on trust: leaves that change their minds, sums that are none of floats.
use ndarray::ArrayD;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use tslip_cpu::executor::memory::Bytes;
use tslip_cpu::executor::{Executor, Leaves};
use tslip_graph::op::Basics;
use tslip_graph::plan::Stage;
use tslip_graph::{
    Accuracy, Call, Code, DType, DataMut, Graph, NodeId, Op, Operand, Plan, Registry, Request, Result, Samples, Spec,
    StateId, Vjp,
};

const SAMPLES: usize = 64;
const EACH: usize = 1000;

/// Adds the rows up to one of this type, or without a type copies them.
#[derive(Debug)]
struct Rows(Option<DType>);

impl Op for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn attributes(&self) -> Value {
        Value::String(format!("{:?}", self.0))
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        Ok(self.0.map_or_else(|| inputs[0].clone(), |dtype| Spec::new([EACH], dtype)))
    }

    fn vjp(&self, _: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _: &Spec) -> ArrayD<f64> {
        inputs[0].clone()
    }

    fn samples(&self, _: &[Operand<'_>], _: &Spec) -> Samples {
        let sliced = vec![true];
        if self.0.is_some() { Samples::Sum { sliced } } else { Samples::PerSample { sliced } }
    }

    fn accumulates(&self) -> bool {
        self.0.is_some()
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Exact
    }

    fn cpu(&self, mut call: Call<'_>) {
        let x = call.inputs[0].f32();
        match &mut call.output.data {
            DataMut::F32(y) if self.0.is_none() => y.copy_from_slice(x),
            DataMut::F32(y) => x.chunks_exact(EACH).for_each(|row| y.iter_mut().zip(row).for_each(|(y, x)| *y += x)),
            _ => (),
        }
    }
}

fn plan(of: Option<DType>) -> Plan {
    // Nothing is differentiated or arranged here.
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        let none = || -> Arc<dyn Op> { Arc::new(Rows(None)) };
        Registry::new(Basics { add: none, full: |_, _| Arc::new(Rows(None)), permute: |_| Arc::new(Rows(None)) })
    });
    let mut graph = Graph::new(&REGISTRY);
    let x = graph.input(0, Spec::f32([SAMPLES, EACH]), true).expect("an input");
    let y = graph.emit(Rows(of), &[x]).expect("a node");
    let plan = Plan::new(&graph, &Request { outputs: vec![y], assigns: Vec::new(), batch: Some(SAMPLES) });
    let plan = plan.expect("a plan");
    assert!(matches!(plan.stages[..], [Stage::Segment(_)]), "samples are cut");
    plan
}

/// Holds its input the first so many times that it is asked for it.
struct Forgetful {
    input: Bytes,
    left: AtomicUsize,
}

impl Forgetful {
    fn new(times: usize) -> Self {
        let ones: Vec<u8> = std::iter::repeat_n(1.0f32.to_ne_bytes(), SAMPLES * EACH).flatten().collect();
        Forgetful { input: Bytes::copy_of(&ones).expect("memory"), left: AtomicUsize::new(times) }
    }
}

impl Leaves for Forgetful {
    fn input(&self, _: usize) -> &[u8] {
        let take = |left: usize| left.checked_sub(1);
        let there = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        if there { self.input.as_ref() } else { &[] }
    }

    fn state(&self, _: StateId) -> &[u8] {
        &[]
    }

    fn version(&self, _: StateId) -> u64 {
        0
    }
}

fn run(plan: &Plan, leaves: &Forgetful) -> Result<Vec<f32>> {
    let mut executor = Executor::default();
    executor.run(plan, leaves, &AtomicBool::new(false), None)?;
    let bytes = executor.computed(plan, plan.outputs[0]).chunks_exact(4);
    Ok(bytes.map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[test]
fn a_run_asks_for_a_leaf_once_and_goes_on_with_what_it_was_given() {
    assert_eq!(run(&plan(None), &Forgetful::new(1)), Ok(vec![1.0; SAMPLES * EACH]));
    assert_eq!(run(&plan(Some(DType::F32)), &Forgetful::new(1)), Ok(vec![SAMPLES as f32; EACH]));
}

#[test]
fn a_leaf_that_does_not_fit_its_spec_is_refused() {
    let error = run(&plan(None), &Forgetful::new(0)).expect_err("no input");
    assert!(error.message.contains("holds 0 bytes"), "{}", error.message);
}

#[test]
fn a_sum_over_samples_of_another_type_than_floats_is_an_error() {
    for dtype in [DType::U8, DType::Bool, DType::I32] {
        let error = run(&plan(Some(dtype)), &Forgetful::new(1)).expect_err("a sum of no floats");
        assert_eq!(error.code, Code::Internal, "{}", error.message);
    }
}
