//! Kernels that a driver does not take: an error that says why, and a device that works on.
use ndarray::ArrayD;
use serde_json::{Value, json};
use tslip_gpu::Store;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Accuracy, Call, Code, Error, Graph, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use super::gpu::{gpu, outputs};

/// How every kernel of this test begins, and how the one that is right ends: it doubles its operand.
const BEGINNING: &str = "fn run(grid: Grid, local: u32) {
    let x = load(word(grid, 0u) + local);
";
const TWICE: &str = "    store(word(grid, 1u) + local, x + x);
}";

/// What is wrong with a kernel, its invocations, how it ends, and a word of the reason that the message must give.
const REJECTED: [(&str, u32, &str, &str); 5] = [
    ("text that is no WGSL", ELEMENTS, "    store(word(grid, 1u) + local, x +);\n}", "expected expression"),
    ("a name that nobody has given", ELEMENTS, "    store(word(grid, 1u) + local, x + missing);\n}", "missing"),
    ("an integer stored as a float", ELEMENTS, "    store(word(grid, 1u) + local, local);\n}", "store"),
    ("more invocations than a workgroup may have", 1024, TWICE, "1024"),
    (
        "a buffer that no bind group holds",
        ELEMENTS,
        "    store(word(grid, 1u) + local, x + elsewhere[local]);\n}
        @group(0) @binding(7) var<storage, read> elsewhere: array<f32>;",
        "binding",
    ),
];

const ELEMENTS: u32 = 64;

/// An op that is one kernel: its invocations, and what follows [`BEGINNING`].
#[derive(Debug)]
struct KernelOp(u32, &'static str);

impl Op for KernelOp {
    fn name(&self) -> &'static str {
        "kernel_of_a_test"
    }

    fn attributes(&self) -> Value {
        json!([self.0, self.1])
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        Ok(inputs[0].clone())
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
        2.0 * inputs[0]
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, _call: Call<'_>) {
        unreachable!("it runs on a GPU")
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let mut kernel = Kernel::new("kernel of a test", BEGINNING).workgroup(self.0);
        kernel.sources.push(self.1);
        Ok(Form::Kernels(vec![kernel.launch(1, vec![Argument::Input(0), Argument::Output])]))
    }
}

/// What a kernel gives for 0, 1, 2 …
fn run(store: &mut Store, kernel: KernelOp) -> Result<Vec<f32>> {
    let mut graph = Graph::new(crate::registry());
    let x = graph.input(0, Spec::f32([ELEMENTS as usize]), false)?;
    let y = graph.emit(kernel, &[x])?;
    let numbers = (0..ELEMENTS).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let bytes = outputs(store, &graph, vec![y], &[numbers])?.remove(0);
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[test]
fn a_kernel_that_the_driver_rejects_is_an_error_with_the_reason_and_the_device_works_on() {
    let Some(device) = gpu() else { return };
    let mut store = Store::new(device.clone()).unwrap();
    let doubled: Vec<f32> = (0..ELEMENTS).map(|i| 2.0 * i as f32).collect();
    for (what, invocations, text, reason) in REJECTED {
        // Twice: that it was rejected before makes it no better.
        for _ in 0..2 {
            let Error { code, message, .. } = run(&mut store, KernelOp(invocations, text)).expect_err(what);
            assert_eq!(code, Code::Unsupported, "{what}: {message}");
            for part in [device.adapter.name.as_str(), "rejects the kernel \"kernel of a test\"", reason, "\"cpu\""] {
                assert!(message.contains(part), "{what}: {message} does not say {part}");
            }
        }
        assert_eq!(run(&mut store, KernelOp(ELEMENTS, TWICE)).unwrap(), doubled, "after {what}");
    }
    assert!(!device.is_lost());
}
