//! The spectral norm and Björck orthonormalization of a weight, and their gradients, through Gram matrices.
//!
//! A weight `[m, n]` is taken in its tall form X `[q, p]`, q = max(m, n), p = min(m, n), transposed where it is wide: its
//! Gram matrix XᵀX is the small one. All functions run on one thread, allocate nothing and take scratch from the caller,
//! as many floats as the function of the same name with `_scratch` says; what the scratch holds is of no matter.
//!
//! # Panics
//! All panic where a slice is shorter than the shape says.
mod bjorck;
mod bjorck_grad;
mod matrix;
mod norm;

pub use bjorck::{bjorck, bjorck_scratch};
pub use bjorck_grad::{bjorck_grad, bjorck_grad_scratch};
pub use norm::{spectral_norm, spectral_norm_grad, spectral_norm_grad_scratch, spectral_norm_scratch};

#[cfg(test)]
mod tests;
