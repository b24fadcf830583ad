//! Verifies files of certificates: claims that no perturbation below a radius changes the class that a network gives an input.
//!
//! It is a path of its own, beside the engine that made them: plain float64 on one thread, layers as small loops, every norm proved by a
//! Cholesky factorization. docs/certificate-file.md has the format, and the formula by which a radius is accepted.
#![deny(missing_docs)]

mod axis;
mod claim;
mod convolution;
mod file;
mod gram;
mod inputs;
mod kernel;
mod layers;
mod network;
mod norm;
mod operator;
mod outward;
mod rounding;
mod symmetric;
mod torus;
mod verify;
mod work;

pub use file::{Dtype, sha256};
pub use inputs::Inputs;
pub use norm::Method;
pub use verify::{Claim, Outcome, Refused, Verdict, certificate, verify};
pub use work::{Stopped, Work};
