//! What a job tells of the states that its last step found: by that its results are known to be of values that were seen before.
mod common;

use common::{Builder, bytes, devices};
use tslip_engine::{Engine, GraphDescription, JobRequest, RunResult, StretchRequest};
use tslip_graph::{Code, Result, Spec, StateId};

fn run(engine: &Engine, description: &GraphDescription, steps: usize, versions_of: Vec<StateId>) -> Result<RunResult> {
    let plan = engine.compile(description)?.number;
    let stretches = vec![StretchRequest { plan, steps, inputs: Vec::new() }];
    engine.run_sync(JobRequest { stretches, versions_of, ..JobRequest::default() })
}

#[test]
fn versions_are_those_that_the_last_step_found_not_those_that_it_left() {
    for device in devices() {
        let engine = Engine::new().expect("an engine");
        let [counted, other] =
            [1.0, 5.0].map(|value| engine.create_state(Spec::f32([2]), &bytes(&[value, value])).expect("a state"));
        let mut b = Builder::default();
        let value = b.state(counted, &[2]);
        let doubled = b.scale(value, 2.0);
        b.assign(counted, doubled);
        let doubling = b.finish_on(&[value], 1, device);
        let first = run(&engine, &doubling, 1, vec![counted, other]).expect("a result");
        assert_eq!(first.versions, [1, 1], "{device}");
        let third = run(&engine, &doubling, 3, vec![other, counted]).expect("a result");
        // Two steps had gone before the last one of this job, and one before the job.
        assert_eq!(third.versions, [1, 4], "{device}");
        assert_eq!(engine.version(counted), Ok(5), "{device}");
        assert!(run(&engine, &doubling, 1, Vec::new()).expect("a result").versions.is_empty(), "{device}");
    }
}

#[test]
fn a_state_that_is_no_more_has_no_version() {
    let engine = Engine::new().expect("an engine");
    let state = engine.create_state(Spec::f32([1]), &bytes(&[1.0])).expect("a state");
    let mut b = Builder::default();
    let value = b.state(state, &[1]);
    let description = b.finish_on(&[value], 1, "cpu");
    engine.free_state(state + 1);
    let refused = run(&engine, &description, 1, vec![state + 1]).expect_err("there is no such state");
    assert_eq!(refused.code, Code::InvalidArgument);
}
