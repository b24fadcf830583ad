//! Products of matrices.
pub mod product;
#[cfg(test)]
mod tests;

use crate::group::group;
use crate::support::parse;

group! {
    matmul: "matmul" => parse::<matmul::Matmul>,
}
