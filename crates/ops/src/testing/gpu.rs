//! Every op on a GPU: its form is valid WGSL, and gives what the reference gives.
use naga::AddressSpace;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use ndarray::ArrayD;
use serde_json::json;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use tslip_gpu::{Device, DevicePlan, States, Store, Variation, open};
use tslip_graph::gpu::Form;
use tslip_graph::{DType, Graph, NodeId, Plan, Request, Result, Spec, StateId};
use tslip_lower::Lowerings;

use super::case::Tolerance;
use super::every_op::{compare, rounded};
use super::kernel::Buffer;
use super::variants::{Variant, variants};
use super::{by_name, cases, each_case};

/// What a GPU may add to a kernel's error: a unit in the last place, as division and roots of WGSL are not exact.
const DEVICE_ROUNDING: f64 = 1.3e-7;
/// What it may lose of a result: subnormal numbers may count as zero. Operands are given to it without any.
const DEVICE_FLUSHING: f64 = f32::MIN_POSITIVE as f64;
/// Bytes that the variables of a workgroup may take: what each device is asked for, and a driver need not check.
const WORKGROUP_BYTES: u32 = 16 << 10;
/// Set where the absence of a GPU is a failure.
const REQUIRE: &str = "TSLIP_REQUIRE_GPU";

/// The first GPU, or nothing, said aloud, where there is none and none is required.
pub fn gpu() -> Option<Arc<Device>> {
    match open(0) {
        Ok(opened) => Some(opened.device),
        Err(error) if std::env::var_os(REQUIRE).is_none_or(|v| v.is_empty() || v == "0") => {
            eprintln!("skipped, as there is no GPU: {error}. {REQUIRE}=1 makes this a failure");
            None
        }
        Err(error) => panic!("{REQUIRE} is set: {error}"),
    }
}

#[test]
fn every_kernel_is_valid_wgsl_and_asks_for_no_more_than_a_device_gives() {
    each_case(|case| {
        for v in variants(case)? {
            let specs: Vec<&Spec> = v.specs.iter().collect();
            if v.op.arranged(&specs).is_some() {
                // Planning puts the arranged op in its place.
                continue;
            }
            let form = v.op.gpu(&specs, &v.output).map_err(|e| e.to_string())?;
            let Form::Kernels(launches) = form else { continue };
            for launch in launches {
                let text = tslip_lower::wgsl::module(&launch.kernel);
                let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
                Validator::new(ValidationFlags::all(), Capabilities::empty())
                    .validate(&module)
                    .map_err(|e| e.emit_to_string(&text))?;
                let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
                let bytes: u32 = shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx())).sum();
                if bytes > WORKGROUP_BYTES {
                    return Err(format!("{} shares {bytes} bytes in a workgroup", launch.kernel.name));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn every_op_agrees_with_its_reference_on_a_gpu() {
    let Some(device) = gpu() else { return };
    let store = std::sync::Mutex::new(Store::new(device).unwrap());
    assert!(!cases().is_empty());
    each_case(|case| {
        for mut v in variants(case)? {
            v.inputs.iter_mut().zip(&v.specs).filter(|(_, s)| s.dtype == DType::F32).for_each(|(x, _)| flush(x));
            let mut store = store.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let got = run(&mut store, &v).map_err(|e| format!("{}: {e}", v.label))?;
            let again = run(&mut store, &v).map_err(|e| e.to_string())?;
            if bits(&got) != bits(&again) {
                return Err(format!("{}: two runs gave different bits", v.label));
            }
            let want = rounded(&v.reference(), v.output.dtype);
            let t = case.tolerance;
            let tolerance = match v.output.dtype {
                DType::F32 => Tolerance {
                    of_element: t.of_element + DEVICE_ROUNDING,
                    absolute: t.absolute + DEVICE_FLUSHING,
                    ..t
                },
                _ => t,
            };
            compare(&got, &want, tolerance).map_err(|e| format!("{}: {e}", v.label))?;
        }
        Ok(())
    });
}

/// Takes subnormal numbers for zero.
fn flush(x: &mut ArrayD<f64>) {
    x.iter_mut().filter(|v| v.abs() < DEVICE_FLUSHING).for_each(|v| *v = 0.0_f64.copysign(*v));
}

fn bits(values: &ArrayD<f64>) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The result of an op as a plan of its own computes it.
fn run(store: &mut Store, v: &Variant) -> Result<ArrayD<f64>> {
    let mut graph = Graph::new(crate::registry());
    let inputs: Vec<usize> =
        v.specs.iter().enumerate().map(|(i, spec)| graph.input(i, spec.clone(), false)).collect::<Result<_>>()?;
    let node = graph.insert(v.op.clone(), &inputs)?;
    let bytes: Vec<Vec<u8>> =
        v.inputs.iter().zip(&v.specs).map(|(x, spec)| Buffer::of(x.iter().copied(), spec.dtype).bytes()).collect();
    let bytes = outputs(store, &graph, vec![node], &bytes)?.pop().unwrap_or_default();
    let values: Vec<f64> = match v.output.dtype {
        DType::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
        DType::I32 => bytes.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(b.try_into().unwrap()))).collect(),
        DType::U8 | DType::Bool => bytes.iter().map(|&b| f64::from(b)).collect(),
    };
    Ok(ArrayD::from_shape_vec(v.output.shape.clone(), values).unwrap())
}

#[test]
fn a_step_submitted_in_parts_gives_the_same_bits_as_one_submitted_whole() {
    let Some(device) = gpu() else { return };
    let mut graph = Graph::new(crate::registry());
    let spec = Spec::new([48, 40], DType::F32);
    let x = graph.input(0, spec.clone(), false).unwrap();
    let orthonormal = by_name(&mut graph, "bjorck", &json!({ "iterations": 15, "beta": 0.5 }), &[x]).unwrap();
    let total = by_name(&mut graph, "sum", &json!({ "axes": [0], "keepdims": false }), &[orthonormal]).unwrap();
    let values = (0..spec.len()).map(|i| 0.1 * ((i * i) as f64).sin());
    let inputs = [Buffer::of(values, DType::F32).bytes()];
    let run = |limit: Option<u64>| {
        let mut store = Store::new(device.clone()).unwrap();
        limit.into_iter().for_each(|operations| store.limit_submissions(operations));
        let before = device.counters.submits.get();
        let found = outputs(&mut store, &graph, vec![orthonormal, total], &inputs).unwrap();
        (found, device.counters.submits.get() - before)
    };
    let ((whole, few), (parts, many)) = (run(None), run(Some(1)));
    assert_eq!(whole, parts);
    assert!(many > few + 4, "{many} submissions in parts, {few} as a whole");
}

/// What a plan of a graph without states gives for these inputs.
pub fn outputs(store: &mut Store, graph: &Graph, nodes: Vec<NodeId>, inputs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let plan = Plan::new(graph, &Request { outputs: nodes, ..Request::default() })?;
    let (life, lowered, none) = (Arc::new(()), Lowerings::default(), AtomicBool::new(false));
    let plan = DevicePlan { life: &life, plan: &plan, lowered: &lowered, states: &NoStates, scalars: &[] };
    let mut job = store.begin();
    let variation = Variation { stretch: 0, tables: &[], fed: 0, timed: false, until: None, look: false };
    let outcome =
        store.step(&mut job, plan, inputs, None, variation, &none).and_then(|()| store.outputs(&job, plan, &none));
    store.end(job);
    outcome
}

struct NoStates;

impl States for NoStates {
    fn uses(&self) -> &[(StateId, bool)] {
        &[]
    }

    fn life(&self, _id: StateId) -> Weak<()> {
        Weak::new()
    }

    fn spec(&self, _id: StateId) -> &Spec {
        unreachable!("there are none")
    }

    fn version(&self, _id: StateId) -> u64 {
        unreachable!("there are none")
    }

    fn read(&self, _id: StateId, _with: &mut dyn FnMut(&[u8])) -> bool {
        unreachable!("there are none")
    }

    fn advance(&self, _id: StateId) -> u64 {
        unreachable!("there are none")
    }
}
