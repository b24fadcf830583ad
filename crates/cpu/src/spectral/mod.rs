//! The spectral norm and Björck orthonormalization of a weight, and their gradients, through Gram matrices.
//!
//! A weight `[m, n]` is taken in its tall form X `[q, p]`, q = max(m, n), p = min(m, n), transposed where it is wide: its
//! Gram matrix XᵀX is the small one. All functions use all workers of the pool where it is worth it, with the same bits
//! for any number of them. They take scratch from the caller, as many floats as the function of the same name with
//! `_scratch` says; what the scratch holds is of no matter.
//!
//! # Panics
//! All panic where a slice is shorter than the shape says.
mod bjorck;
mod bjorck_grad;
mod convolution;
mod lanczos;
mod matrix;
mod norm;
mod polar;

pub use bjorck::{bjorck, bjorck_kept, bjorck_kept_length, bjorck_kept_scratch, bjorck_scratch};
pub use bjorck_grad::{bjorck_grad, bjorck_grad_from_kept, bjorck_grad_from_kept_scratch, bjorck_grad_scratch};
pub use convolution::Convolution;
pub use matrix::dot as inner_product;
pub use norm::{spectral_norm, spectral_norm_grad, spectral_norm_grad_scratch, spectral_norm_scratch};

#[cfg(test)]
mod tests;
