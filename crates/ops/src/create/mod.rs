//! Ops that make tensors: constants, positions and random numbers.
pub mod full;
pub mod iota;
pub mod orthogonal;
pub mod philox;
pub mod random;
pub mod random_step;

use tslip_graph::Registry;

use crate::support::parse;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("full", parse::<full::Full>);
    ops.insert("iota", parse::<iota::Iota>);
    ops.insert("random", parse::<random::Random>);
    ops.insert("random_step", parse::<random_step::RandomStep>);
    ops.insert("orthogonal", parse::<orthogonal::Orthogonal>);
}

/// Cases of the ops of this folder.
#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    [full::cases(), iota::cases(), random::cases(), random_step::cases(), orthogonal::cases()].concat()
}
