//! States that a step sets to themselves where a condition holds.
mod common;

use common::{Builder, bytes, devices, floats};
use serde_json::json;
use tslip_engine::{Engine, JobRequest, StretchRequest};
use tslip_graph::{DType, Spec};

/// A step that doubles a weight and keeps a second one, a count and a copy, unless the weight would exceed `limit`.
fn doubling(weight: u32, other: u32, count: u32, limit: f64) -> Builder {
    let mut b = Builder::default();
    let (w, o, n) = (b.state(weight, &[2, 3]), b.state(other, &[2, 3]), b.state(count, &[]));
    let doubled = b.scale(w, 2.0);
    let total = b.sum(doubled, &[0, 1]);
    let bound = b.scalar(limit);
    let over = b.bin("less", bound, total);
    let each = b.op("broadcast_to", json!({ "shape": [2, 3] }), &[over]);
    let one = b.scalar(1.0);
    let next = b.bin("add", n, one);
    for (state, shown, kept, value) in [(weight, each, w, doubled), (other, each, o, w), (count, over, n, next)] {
        let chosen = b.op("where", json!({}), &[shown, kept, value]);
        b.assign(state, chosen);
    }
    b
}

#[test]
fn a_condition_of_an_assignment_keeps_all_of_a_state_on_every_device() {
    for device in devices() {
        let engine = Engine::new().expect("an engine");
        let ones = [1.0; 6];
        let weight = engine.create_state(Spec::f32([2, 3]), &bytes(&ones)).expect("a state");
        let other = engine.create_state(Spec::f32([2, 3]), &bytes(&[0.0; 6])).expect("a state");
        let count = engine.create_state(Spec::new([], DType::F32), &bytes(&[0.0])).expect("a state");
        let b = doubling(weight, other, count, 30.0);
        let plan = engine.compile(&b.finish_on(&[], 1, device)).expect("a plan").number;
        let text = engine.explain(plan).expect("a text");
        assert_eq!(text.contains("where"), device != "cpu", "on the CPU nothing is copied:\n{text}");
        // The third step, and each after it, would pass the limit.
        for (steps, expected) in [(1, [2.0, 1.0, 1.0]), (1, [4.0, 2.0, 2.0]), (3, [4.0, 2.0, 2.0])] {
            let stretches = vec![StretchRequest { plan, steps, inputs: Vec::new() }];
            engine.run_sync(JobRequest { stretches, ..JobRequest::default() }).expect("steps");
            let mut b = Builder::default();
            let states = [b.state(weight, &[2, 3]), b.state(other, &[2, 3]), b.state(count, &[])];
            let read = engine.compile(&b.finish(&states, 1)).expect("a plan").number;
            let stretches = vec![StretchRequest { plan: read, steps: 1, inputs: Vec::new() }];
            let outputs = engine.run_sync(JobRequest { stretches, ..JobRequest::default() }).expect("values").outputs;
            for (output, value) in outputs.iter().zip(expected) {
                assert!(floats(output).iter().all(|&x| x == value), "{device}: {:?}, not {value}", floats(output));
            }
        }
    }
}

#[test]
fn a_condition_for_each_element_is_no_condition_of_the_assignment() {
    let engine = Engine::new().expect("an engine");
    let weight = engine.create_state(Spec::f32([3]), &bytes(&[1.0, 5.0, 2.0])).expect("a state");
    let mut b = Builder::default();
    let w = b.state(weight, &[3]);
    let doubled = b.scale(w, 2.0);
    let bound = b.scalar(6.0);
    let over = b.bin("less", bound, doubled);
    let chosen = b.op("where", json!({}), &[over, w, doubled]);
    b.assign(weight, chosen);
    let plan = engine.compile(&b.finish(&[chosen], 1)).expect("a plan").number;
    for expected in [[2.0, 5.0, 4.0], [4.0, 5.0, 4.0], [4.0, 5.0, 4.0]] {
        let stretches = vec![StretchRequest { plan, steps: 1, inputs: Vec::new() }];
        let outputs = engine.run_sync(JobRequest { stretches, ..JobRequest::default() }).expect("values").outputs;
        assert_eq!(floats(&outputs[0]), expected);
    }
}
