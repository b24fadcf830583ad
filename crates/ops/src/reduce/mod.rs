//! Ops that make many elements one: sums, largest and smallest elements and where they are; and sums over processes.
pub mod axes;
pub mod extremum;
mod gpu;
pub mod max;
pub mod min;
pub mod position;
pub mod process_sum;
pub mod sum;

use tslip_graph::Registry;

use crate::support::parse;
use extremum::Reduce;
use position::Position;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("sum", parse::<sum::Sum>);
    ops.insert("max", Reduce::<max::Max>::make);
    ops.insert("min", Reduce::<min::Min>::make);
    ops.insert("argmax", Position::<max::Max>::make);
    ops.insert("argmin", Position::<min::Min>::make);
    ops.insert("process_sum", parse::<process_sum::ProcessSum>);
}

/// Cases of the ops of this folder.
#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    [
        sum::cases(),
        max::cases(),
        min::cases(),
        position::cases::<max::Max>(),
        position::cases::<min::Min>(),
        process_sum::cases(),
    ]
    .concat()
}
