//! States that have no value before a step has given them one.
mod common;

use common::{Builder, bytes, devices, floats};
use tslip_engine::{Engine, GraphDescription, JobRequest, StretchRequest};
use tslip_graph::{Code, Result, Spec};

/// Runs one step of a function.
fn step(engine: &Engine, description: &GraphDescription) -> Result<Vec<Vec<u8>>> {
    let plan = engine.compile(description)?.number;
    let stretches = vec![StretchRequest { plan, steps: 1, inputs: Vec::new() }];
    engine.run_sync(JobRequest { stretches, ..JobRequest::default() }).map(|result| result.outputs)
}

#[test]
fn a_state_without_a_value_is_an_error_to_read_and_has_one_once_it_is_written() {
    for device in devices() {
        let engine = Engine::new().expect("an engine");
        let pending = engine.create_pending_state(Spec::f32([2])).expect("a state");
        let other = engine.create_state(Spec::f32([2]), &bytes(&[3.0, 4.0])).expect("a state");
        let read = || {
            let mut b = Builder::default();
            let value = b.state(pending, &[2]);
            let doubled = b.scale(value, 2.0);
            b.finish_on(&[doubled], 1, device)
        };
        let refused = step(&engine, &read()).expect_err("there is no value");
        assert_eq!(refused.code, Code::InvalidArgument, "{device}");
        assert!(refused.message.contains("has no value"), "{}", refused.message);
        assert_eq!(engine.version(pending), Ok(0));
        let mut b = Builder::default();
        let value = b.state(other, &[2]);
        b.assign(pending, value);
        step(&engine, &b.finish_on(&[], 1, device)).expect("it is written, not read");
        assert_eq!(engine.version(pending), Ok(1));
        assert_eq!(floats(&step(&engine, &read()).expect("a value")[0]), [6.0, 8.0], "{device}");
    }
}
