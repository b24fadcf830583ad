//! Jobs that end early, and callbacks that fail: on the CPU, and on a GPU where there is one.
mod common;

use common::{Builder, bytes, devices, floats};
use serde_json::json;
use std::sync::{Arc, mpsc};
use tslip_engine::{
    Bytes, Dataset, DatasetFeed, Engine, GraphDescription, JobRequest, RunResult, StretchRequest, TableRequest,
    UntilRequest,
};
use tslip_graph::{Code, DType, Result, Spec};

/// A step that adds `rate * input` to a sum, counts, and sets a flag once the count is `end`: it masks nothing.
struct Counter {
    engine: Engine,
    sum: u32,
    count: u32,
    rate: u32,
    aside: u32,
    flag: u32,
}

impl Counter {
    fn new() -> Counter {
        let engine = Engine::new().expect("an engine");
        let scalar = |value: f32| engine.create_state(Spec::new([], DType::F32), &bytes(&[value])).expect("a state");
        let sum = engine.create_zeroed_state(Spec::new([3], DType::F32)).expect("a state");
        let flag = engine.create_zeroed_state(Spec::new([], DType::Bool)).expect("a state");
        let [count, rate, aside] = [scalar(0.0), scalar(-1.0), scalar(-1.0)];
        Counter { engine, sum, count, rate, aside, flag }
    }

    fn plan(&self, device: &str, end: f64, batch: usize) -> u32 {
        let mut b = Builder::default();
        let x = b.input(0, &[batch, 3], "f32");
        let labels = b.input(1, &[batch], "i32");
        let (sum, count, rate) = (b.state(self.sum, &[3]), b.state(self.count, &[]), b.state(self.rate, &[]));
        let one = b.scalar(1.0);
        let next = b.bin("add", count, one);
        let rows = b.sum(x, &[0]);
        let added = b.bin("mul", rows, rate);
        let total = b.bin("add", sum, added);
        let limit = b.scalar(end);
        let over = b.bin("less_equal", limit, next);
        let labels = b.op("cast", json!({ "dtype": "f32" }), &[labels]);
        for (state, value) in [(self.sum, total), (self.count, next), (self.flag, over)] {
            b.assign(state, value);
        }
        let graph = json!({
            "nodes": b.nodes, "outputs": [next, total, labels, sum], "assigns": b.assigns, "batch": batch, "device": device
        });
        let description: GraphDescription = serde_json::from_value(graph).expect("a description");
        self.engine.compile(&description).expect("a plan").number
    }

    fn dataset(&self) -> u32 {
        let images: Vec<f32> = (0..300).map(|i| i as f32).collect();
        let labels: Vec<u8> = (0..100i32).flat_map(i32::to_le_bytes).collect();
        let dataset = Dataset::new(Spec::new([3], DType::F32), &bytes(&images), Spec::new([], DType::I32), &labels);
        let dataset = dataset.expect("a data set");
        self.engine.create_dataset(dataset)
    }

    /// Segments of so many steps of a batch of so many samples, that may end.
    fn request(&self, device: &str, end: f64, stretches: &[(usize, usize)], check_every: Option<usize>) -> JobRequest {
        let total: usize = stretches.iter().map(|s| s.0).sum();
        let values: Vec<f32> = (0..total).map(|i| 0.5 + i as f32).collect();
        let table = |state| TableRequest { state, values: values.clone() };
        JobRequest {
            stretches: stretches
                .iter()
                .map(|&(steps, batch)| StretchRequest {
                    plan: self.plan(device, end, batch),
                    steps,
                    inputs: Vec::new(),
                })
                .collect(),
            dataset: Some(DatasetFeed {
                id: self.dataset(),
                order: (0..100).collect(),
                image_input: 0,
                target_input: 1,
            }),
            tables: vec![table(self.rate), table(self.aside)],
            until: check_every.map(|check_every| UntilRequest { state: self.flag, check_every }),
            ..JobRequest::default()
        }
    }

    /// The values of all states, as the CPU reads them.
    fn states(&self) -> Vec<Vec<f32>> {
        let mut b = Builder::default();
        let states = [(self.sum, 3), (self.count, 0), (self.rate, 0), (self.aside, 0)];
        let outputs: Vec<usize> =
            states.iter().map(|&(id, n)| if n == 0 { b.state(id, &[]) } else { b.state(id, &[n]) }).collect();
        let plan = self.engine.compile(&b.finish(&outputs, 1)).expect("a plan").number;
        let stretches = vec![StretchRequest { plan, steps: 1, inputs: Vec::new() }];
        let read = self.engine.run_sync(JobRequest { stretches, ..JobRequest::default() }).expect("values");
        read.outputs.iter().map(|bytes| floats(bytes)).collect()
    }
}

fn found(result: &RunResult) -> (usize, Vec<f64>, Vec<Vec<f32>>) {
    (result.steps, result.scalars.clone(), result.outputs.iter().map(|bytes| floats(bytes)).collect())
}

#[test]
fn a_job_that_ends_early_is_a_job_of_so_many_steps_on_every_device_however_often_it_is_looked_at() {
    for device in devices() {
        for end in [1, 5, 8, 12] {
            let short = Counter::new();
            let first = end.min(8);
            let stretches: Vec<(usize, usize)> =
                [(first, 2), (end - first, 5)].into_iter().filter(|s| s.0 > 0).collect();
            let wanted = short.engine.run_sync(short.request("cpu", end as f64, &stretches, None)).expect("a result");
            for check_every in [1, 3, 100] {
                let early = Counter::new();
                let request = early.request(device, end as f64, &[(8, 2), (12, 5)], Some(check_every));
                let result = early.engine.run_sync(request).expect("a result");
                let what = format!("{device}, end after {end}, looked at after every {check_every}");
                assert_eq!(found(&result), found(&wanted), "{what}");
                assert_eq!(early.states(), short.states(), "{what}");
            }
        }
    }
}

#[test]
fn a_flag_that_is_set_before_a_job_lets_it_take_one_step() {
    for device in devices() {
        let counter = Counter::new();
        let run = || counter.engine.run_sync(counter.request(device, 3.0, &[(8, 2)], Some(2))).expect("a result").steps;
        assert_eq!([run(), run()], [3, 1], "{device}");
        assert_eq!(counter.states()[1], [4.0], "{device}");
    }
}

#[test]
fn jobs_that_take_turns_with_one_that_ends_early_leave_its_result_alone() {
    for device in devices() {
        let alone = Counter::new();
        let wanted = alone.engine.run_sync(alone.request(device, 9.0, &[(40, 2)], Some(1))).expect("a result");
        let counter = Counter::new();
        let (send, receive) = mpsc::channel();
        let done = Box::new(move |result: Result<RunResult>| send.send(result).expect("a receiver"));
        let request = counter.request(device, 9.0, &[(40, 2)], Some(40));
        let mut b = Builder::default();
        let x = b.input(0, &[64, 64], "f32");
        let y = b.bin("mul", x, x);
        let z = b.op("matmul", json!({ "transposeA": false, "transposeB": false }), &[y, x]);
        let graph = json!({ "nodes": b.nodes, "outputs": [y, z], "batch": 64, "device": device });
        let other = counter.engine.compile(&serde_json::from_value(graph).expect("a description")).expect("a plan");
        counter.engine.run(request, Arc::default(), None, done).expect("a job");
        for _ in 0..30 {
            let inputs = vec![Bytes::copy_of(&bytes(&[1.0; 64 * 64])).expect("memory")];
            let stretches = vec![StretchRequest { plan: other.number, steps: 1, inputs }];
            counter.engine.run_sync(JobRequest { stretches, ..JobRequest::default() }).expect("a result");
        }
        let result = receive.recv().expect("an answer").expect("a result");
        assert_eq!(found(&result), found(&wanted), "{device}");
        assert_eq!(counter.states(), alone.states(), "{device}");
    }
}

#[test]
fn a_callback_that_panics_ends_its_own_job_alone() {
    for device in devices() {
        let counter = Counter::new();
        let request = || counter.request(device, 1e9, &[(20, 2)], None);
        let (send, receive) = mpsc::channel();
        let done = Box::new(move |result: Result<RunResult>| send.send(result).expect("a receiver"));
        let progress = Box::new(|_: usize, _: usize, _: &[f64]| panic!("a report that fails on purpose"));
        counter.engine.run(request(), Arc::default(), Some(progress), done).expect("a job");
        let error = receive.recv().expect("an answer").expect_err("it panicked");
        assert_eq!(error.code, Code::Internal);
        assert!(error.message.contains("fails on purpose"), "{}", error.message);
        let done = Box::new(|_: Result<RunResult>| panic!("an end that fails on purpose"));
        counter.engine.run(request(), Arc::default(), None, done).expect("a job");
        assert_eq!(counter.engine.run_sync(request()).expect("the engine goes on").steps, 20, "{device}");
    }
}
