//! Ops that make tensors: constants, positions and random numbers.
pub mod philox;

use crate::group::group;
use crate::support::parse;

group! {
    full: "full" => parse::<full::Full>,
    iota: "iota" => parse::<iota::Iota>,
    orthogonal: "orthogonal" => parse::<orthogonal::Orthogonal>,
    random: "random" => parse::<random::Random>,
    random_step: "random_step" => parse::<random_step::RandomStep>,
}
