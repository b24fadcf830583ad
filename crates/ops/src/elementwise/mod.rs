//! Ops that compute each element of the result from one element of each operand, with NumPy broadcasting.
pub mod add;
pub mod binary;
pub mod loops;
pub mod unary;

use tslip_graph::Registry;

use binary::Binary;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("add", Binary::<add::Add>::make);
}

/// Cases of the ops of this folder.
#[cfg(test)]
pub fn cases() -> Vec<crate::testing::case::Case> {
    [add::cases()].concat()
}
