//! Processes that take a step together: class counts in the forward pass and gradients are summed over all of them.
mod common;

use common::{Network, batch, floats};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};
use tslip_engine::{Bytes, Engine, JobRequest, RunResult, StretchRequest};
use tslip_graph::{Code, Error, Processes, Result};

const SAMPLES: usize = 37;
const STEPS: usize = 3;

/// Two engines of this process that stand for two processes.
#[derive(Debug)]
struct Two {
    shares: Mutex<[Vec<f32>; 2]>,
    met: Barrier,
}

#[derive(Debug)]
struct One {
    number: usize,
    both: Arc<Two>,
}

impl Processes for One {
    fn count(&self) -> usize {
        2
    }

    fn sum(&self, values: &mut [f32], _cancel: &AtomicBool) -> Result<()> {
        self.both.shares.lock().unwrap()[self.number] = values.to_vec();
        self.both.met.wait();
        let shares = self.both.shares.lock().unwrap().clone();
        self.both.met.wait();
        assert_eq!(shares[0].len(), shares[1].len(), "both come to the same sums");
        values.iter_mut().zip(shares[0].iter().zip(&shares[1])).for_each(|(v, (a, b))| *v = a + b);
        Ok(())
    }
}

fn request(plan: u32, samples: [&[u8]; 2]) -> JobRequest {
    let inputs = samples.map(|bytes| Bytes::copy_of(bytes).expect("memory")).to_vec();
    JobRequest { stretches: vec![StretchRequest { plan, steps: STEPS, inputs }], ..JobRequest::default() }
}

/// What the steps gave, and the parameters after them.
fn trained(engine: &Engine, processes: usize, samples: [&[u8]; 2]) -> (RunResult, Vec<Vec<u8>>) {
    let net = Network::new(engine);
    let batch = samples[1].len() / 4;
    let plan = engine.compile(&net.step_of_each(batch, processes)).expect("a plan").number;
    let result = engine.run_sync(request(plan, samples)).expect("a result");
    (result, net.parameters.iter().map(|(id, shape)| common::value(engine, *id, shape)).collect())
}

#[test]
fn two_processes_with_half_of_a_batch_each_take_the_steps_of_one_with_all_of_it() {
    let (images, labels) = batch(2 * SAMPLES);
    let alone = trained(&Engine::new().expect("an engine"), 1, [&images, &labels]);
    let both = Arc::new(Two { shares: Mutex::default(), met: Barrier::new(2) });
    let part = |number: usize| {
        let engine = Engine::among(Arc::new(One { number, both: both.clone() })).expect("an engine");
        let (images, labels) = (images.chunks(SAMPLES * 784), labels.chunks(SAMPLES * 4));
        trained(&engine, 2, [images.skip(number), labels.skip(number)].map(|mut c| c.next().expect("a half")))
    };
    let [one, two] = std::thread::scope(|s| {
        [0, 1].map(|number| s.spawn(move || part(number))).map(|thread| thread.join().expect("a thread"))
    });
    assert_eq!(one.1, two.1, "the parameters have the same bits in both");
    for step in 0..STEPS {
        let sum = one.0.scalars[step] + two.0.scalars[step];
        assert!((sum / alone.0.scalars[step] - 1.0).abs() < 1e-5, "step {step}: {sum} and {}", alone.0.scalars[step]);
    }
    for (found, wanted) in one.1.iter().zip(&alone.1) {
        let far = floats(found).iter().zip(floats(wanted)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-4, "a parameter is off by {far}");
    }
}

/// Two processes of which the other one is lost.
#[derive(Debug)]
struct Lost;

impl Processes for Lost {
    fn count(&self) -> usize {
        2
    }

    fn sum(&self, _values: &mut [f32], _cancel: &AtomicBool) -> Result<()> {
        Err(Error::new(Code::Io, "the other process is lost"))
    }
}

#[test]
fn a_step_whose_sum_fails_changes_nothing_and_says_why() {
    let engine = Engine::among(Arc::new(Lost)).expect("an engine");
    let net = Network::new(&engine);
    let value = || common::value(&engine, net.parameters[0].0, &net.parameters[0].1);
    let (before, (images, labels)) = (value(), batch(SAMPLES));
    let plan = engine.compile(&net.step_of_each(SAMPLES, 2)).expect("a plan").number;
    let error = engine.run_sync(request(plan, [&images, &labels])).expect_err("no sum, no step");
    assert_eq!((error.code, error.message.as_str()), (Code::Io, "the other process is lost"));
    assert_eq!(value(), before);
    let text = engine.explain(plan).expect("a text");
    assert_eq!(text.matches("sums over processes").count(), 2, "class counts, then gradients:\n{text}");
}
