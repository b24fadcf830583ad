//! The test of every op. An op's own file gives `cases()`; here each case is run through everything an op promises.
//!
//! To add an op: write `#[cfg(test)] pub(crate) fn cases() -> Vec<Case>` beside it and name it in its group's `cases()`.
pub mod case;
mod emitted;
pub mod every_op;
pub mod gpu;
pub mod gradients;
pub mod kernel;
mod levels;
mod rejected;
mod samples;
mod variants;

use case::Case;
use serde_json::Value;
use tslip_graph::{Graph, NodeId};

/// A node of the op registered under `name`, as a description from outside makes it.
pub fn by_name(graph: &mut Graph, name: &str, attributes: &Value, inputs: &[NodeId]) -> tslip_graph::Result<NodeId> {
    graph.insert(crate::registry().make(name, attributes)?, inputs)
}

/// The cases of all groups.
fn cases() -> Vec<Case> {
    [
        crate::conv::cases(),
        crate::create::cases(),
        crate::elementwise::cases(),
        crate::index::cases(),
        crate::linear::cases(),
        crate::pool::cases(),
        crate::reduce::cases(),
        crate::shape::cases(),
        crate::sort::cases(),
        crate::spectral::cases(),
    ]
    .concat()
}

/// Runs `check` on each case and tells of all that failed, not only of the first.
fn each_case(check: impl Fn(&Case) -> Result<(), String>) {
    let mut failures = Vec::new();
    for case in cases() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&case)));
        let message = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(message)) => message,
            Err(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(text), _) => format!("panicked: {text}"),
                (_, Some(text)) => format!("panicked: {text}"),
                _ => "panicked".to_string(),
            },
        };
        failures.push(format!("{}: {message}", case.label()));
    }
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
}
