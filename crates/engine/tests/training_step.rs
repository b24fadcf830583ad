//! The training step of the reference network through planner, executor and engine.
mod common;

use common::{Network, batch, floats};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use tslip_engine::{Bytes, Engine, JobRequest, StretchRequest};
use tslip_graph::Code;

fn request(plan: u32, steps: usize, samples: usize) -> JobRequest {
    let (images, labels) = batch(samples);
    let inputs = vec![Bytes::copy_of(&images).expect("memory"), Bytes::copy_of(&labels).expect("memory")];
    JobRequest { stretches: vec![StretchRequest { plan, steps, inputs }], ..JobRequest::default() }
}

#[test]
fn the_reference_step_is_one_segment() {
    let engine = Engine::new().expect("an engine");
    let net = Network::new(&engine);
    let plan = engine.compile(&net.training_step(4096)).expect("a plan").number;
    let text = engine.explain(plan).expect("a text");
    let heavy: Vec<&str> = text.lines().filter(|l| l.contains(": segment") && l.contains("GFLOP")).collect();
    assert_eq!(heavy.len(), 1, "forward and backward must share one segment:\n{text}");
    for op in ["conv2d[", "conv2d_weight_grad", "conv2d_input_grad", "l2_norm_pool2d_grad"] {
        let complete = text.split("stage").skip(1).filter(|s| s.contains("complete tensors")).any(|s| s.contains(op));
        assert!(!complete, "{op} must run in the segment:\n{text}");
    }
}

#[test]
fn training_lowers_the_loss_and_counts_its_steps() {
    let engine = Engine::new().expect("an engine");
    let net = Network::new(&engine);
    let plan = engine.compile(&net.training_step(50)).expect("a plan").number;
    let result = engine.run_sync(request(plan, 20, 50)).expect("a result");
    assert_eq!((result.steps, result.scalars.len()), (20, 20));
    assert!(result.scalars.iter().all(|l| l.is_finite()));
    assert!(result.scalars[19] < 0.95 * result.scalars[0], "{:?}", result.scalars);
    assert_eq!(floats(&result.outputs[1]).len(), 500);
}

#[test]
fn the_same_job_gives_the_same_bits() {
    let run = || {
        let engine = Engine::new().expect("an engine");
        let net = Network::new(&engine);
        let plan = engine.compile(&net.training_step(37)).expect("a plan").number;
        let result = engine.run_sync(request(plan, 5, 37)).expect("a result");
        (result.scalars, result.outputs)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_cancelled_job_keeps_the_last_committed_step() {
    let engine = Engine::new().expect("an engine");
    let net = Network::new(&engine);
    let plan = engine.compile(&net.training_step(64)).expect("a plan").number;
    let cancel = Arc::new(AtomicBool::new(false));
    let (send, receive) = mpsc::channel();
    let of_progress = cancel.clone();
    let progress = Box::new(move |_, _, _: &[f64]| of_progress.store(true, Ordering::Relaxed));
    let done = Box::new(move |r| send.send(r).expect("a receiver"));
    engine.run(request(plan, 100_000, 64), cancel, Some(progress), done).expect("a job");
    let error = receive.recv().expect("an answer").expect_err("a cancelled job has no result");
    assert_eq!(error.code, Code::Cancelled);
    let result = engine.run_sync(request(plan, 1, 64)).expect("the engine goes on");
    assert!(result.scalars[0].is_finite());
}

#[test]
fn a_stopped_engine_cancels_the_jobs_under_way_and_those_that_wait_and_goes_on_serving() {
    let engine = Engine::new().expect("an engine");
    let net = Network::new(&engine);
    let plan = engine.compile(&net.training_step(64)).expect("a plan").number;
    let (send, receive) = mpsc::channel();
    for _ in 0..3 {
        let send = send.clone();
        let done = Box::new(move |r| send.send(r).expect("a receiver"));
        engine.run(request(plan, 100_000, 64), Arc::default(), None, done).expect("a job");
    }
    engine.stop();
    for _ in 0..3 {
        let error = receive.try_recv().expect("it has ended").expect_err("a cancelled job has no result");
        assert_eq!(error.code, Code::Cancelled);
    }
    let result = engine.run_sync(request(plan, 1, 64)).expect("the engine goes on");
    assert!(result.scalars[0].is_finite());
}

#[test]
fn inputs_of_another_size_are_refused_before_anything_runs() {
    let engine = Engine::new().expect("an engine");
    let net = Network::new(&engine);
    let plan = engine.compile(&net.training_step(8)).expect("a plan").number;
    let error = engine.run_sync(request(plan, 1, 9)).expect_err("nine samples for a plan of eight");
    assert_eq!(error.code, Code::ShapeMismatch);
    assert!(error.message.contains("[8, 1, 28, 28]"), "{}", error.message);
}
