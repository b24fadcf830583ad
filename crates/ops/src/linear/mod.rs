//! Products of matrices, and the inverse of a Cholesky factor.
pub mod product;
#[cfg(test)]
mod tests;

use crate::group::group;
use crate::support::parse;

group! {
    inverse_cholesky: "inverse_cholesky" => parse::<inverse_cholesky::InverseCholesky>,
    matmul: "matmul" => parse::<matmul::Matmul>,
}
