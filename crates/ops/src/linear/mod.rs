//! Products of matrices.
pub mod matmul;
pub mod product;
#[cfg(test)]
mod tests;

use tslip_graph::Registry;

use crate::support::parse;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("matmul", parse::<matmul::Matmul>);
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    [matmul::cases()].concat()
}
