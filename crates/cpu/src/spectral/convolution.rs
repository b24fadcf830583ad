//! The norm of a convolution on images of one size, and where it is reached, by Lanczos' method.
use super::lanczos::{End, largest_ritz};
use super::matrix::{dot, scale};
use super::norm::{Weight, scaled};
use crate::kernels::conv2d::{ConvShape, forward, forward_scratch, input_grad, input_grad_scratch};
use crate::simd::Level;

/// The share that is added to what the method finds, which is never above the norm.
const MARGIN: f64 = 5e-4;
/// Vectors at most: so many that [`Convolution::open_factor`] is within 1e-3 of 1 for images of [`MOST_NUMBERS`].
const MOST_VECTORS: usize = 160;
/// Numbers of an image, 64 channels of 64x64 pixels, above which there are fewer vectors, so that they take no more memory.
const MOST_NUMBERS: usize = 1 << 18;
/// Vectors that are always allowed, and made.
const LEAST_VECTORS: usize = 24;
/// The share of starts of which at most so many may find less of the norm than [`Convolution::open_factor`] makes up for.
const DOUBT: f64 = 1e-3;

/// A convolution of one image.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Its extents; where padding copies pixels, those of the padded image, without padding.
    pub shape: ConvShape,
    /// Where padding copies pixels: the pixel of the image that each pixel of the padded one is, row by row.
    pub copies: Option<Vec<usize>>,
    /// Height and width of the image.
    pub image: [usize; 2],
}

impl Convolution {
    /// |AᵀA v - theta v| relative to theta that is taken for convergence once there are `vectors` of `most`. A small residual shows that
    /// theta is near a squared singular value, not that this is the largest: one in which the start has a share a, above by a share d of
    /// theta, is seen where a d is above the residual. Hence the method goes on to about what float32 resolves, and has that many
    /// vectors at least; only when there are no more a tenth of what the margin is of theta will do.
    pub fn residual(vectors: usize, most: usize) -> f64 {
        if vectors >= most {
            1e-4
        } else if vectors < LEAST_VECTORS {
            0.0
        } else {
            1e-6
        }
    }

    /// What an estimate of the norm is multiplied by, so that it is not low where the method has found the largest.
    pub const SAFETY: f64 = 1.0 + MARGIN;

    /// What an estimate from so many vectors of so many numbers is multiplied by where the residual is not small. Where singular values
    /// lie close, as along an axis with many pixels, values converge long before vectors: theta is low by more than this makes up for in
    /// [`DOUBT`] of all starts at most, whatever the spectrum is, if a start is uniform on the sphere.
    ///
    /// Proof (after Kuczyński and Woźniakowski 1992). Let the squared norm be 1, b the start, a its share |b_1| in a vector of that, k the
    /// vectors. If theta < 1 - e, then Σ b_i² (λ_i - (1 - e)) p(λ_i)² < 0 for every polynomial p of degree k - 1, so that
    /// e a² p(1)² < (1 - a²) max (1 - e - λ) p(λ)² over [0, 1 - e]. T being Chebyshev's polynomial of degree 2 k - 1, which is odd,
    /// T(t) / t with t² = 1 - λ / (1 - e) is such a p but for a factor: the maximum becomes 1, e p(1)² becomes sinh²((2 k - 1) artanh √e), and
    /// a < 1 / cosh((2 k - 1) artanh √e) follows. Of a uniform start of n numbers a has a density of at most sqrt(2 n / π), so that it is
    /// below a0 = DOUBT sqrt(π / (2 n)) in DOUBT of all starts at most. Of the others cosh((2 k - 1) artanh √e) >= 1 / a0 shows that
    /// theta is not below 1 - e, of which (1 - e)^-1/2 = cosh(artanh √e) = cosh(arcosh(1 / a0) / (2 k - 1)).
    pub fn open_factor(vectors: usize, numbers: usize) -> f64 {
        if vectors >= numbers {
            return Self::SAFETY;
        }
        let rare = DOUBT * (std::f64::consts::PI / (2 * numbers) as f64).sqrt();
        Self::SAFETY.max(((1.0 / rare).acosh() / (2 * vectors - 1) as f64).cosh())
    }

    /// Vectors that Lanczos' method may have.
    pub fn most_vectors(numbers: usize) -> usize {
        (MOST_VECTORS * MOST_NUMBERS / numbers).clamp(LEAST_VECTORS, MOST_VECTORS).min(numbers)
    }

    /// Element i of the start, an image in the order `[c, h, w]`: without structure, between -1 and 1, by the hash of PCG (Jarzynski
    /// and Olano 2020, *Hash Functions for GPU Rendering*). A vector that is found has no negative inner product with it.
    pub fn start(i: u32) -> f32 {
        let state = i.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
        (((word >> 22) ^ word) >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Numbers of an image, of a padded one where that is another, and of a result.
    fn lengths(&self) -> [usize; 3] {
        let s = &self.shape;
        let padded = if self.copies.is_some() { s.h * s.w * s.cin } else { 0 };
        [self.image[0] * self.image[1] * s.cin, padded, s.out_h() * s.out_w() * s.cout]
    }

    fn weights(&self) -> usize {
        let s = &self.shape;
        s.kh * s.kw * (s.cin / s.groups) * s.cout
    }

    /// Floats of scratch for [`Convolution::top_vector`].
    pub fn scratch(&self) -> usize {
        let [image, padded, result] = self.lengths();
        let kernels = forward_scratch(&self.shape).max(input_grad_scratch(&self.shape));
        (Self::most_vectors(image) + 1) * image + padded + result + self.weights() + kernels
    }

    /// The right singular vector `[h, w, c]` of the largest singular value for weights `w` `[kh, kw, c / groups, o]`, of the length of
    /// the norm: [`Convolution::SAFETY`] times what Lanczos' method finds, so that it is not low where that is the largest, or
    /// [`Convolution::open_factor`] times where the vector has not converged; `most`, a bound of the norm, where that is less. Where the
    /// largest singular value is multiple, one of its vectors. Zero for a zero operator, NaN where a weight is not finite.
    pub fn top_vector(&self, level: Level, w: &[f32], most: f32, v: &mut [f32], scratch: &mut [f32]) {
        let [image, padded, result] = self.lengths();
        let v = &mut v[..image];
        let (copy, rest) = scratch.split_at_mut(self.weights());
        let (basis, rest) = rest.split_at_mut((Self::most_vectors(image) + 1) * image);
        let (x, exponent) = match scaled(&w[..copy.len()], copy) {
            Weight::Scaled { x, exponent } => (x, exponent),
            Weight::Zero => return v.fill(0.0),
            Weight::NonFinite => return v.fill(f32::NAN),
        };
        let memory = std::cell::RefCell::new(rest);
        let product = |q: &[f32], to: &mut [f32]| {
            let mut memory = memory.borrow_mut();
            let (wide, rest) = memory.split_at_mut(padded);
            let (y, work) = rest.split_at_mut(result);
            let source = match &self.copies {
                Some(copies) => {
                    let c = self.shape.cin;
                    for (to, &from) in wide.chunks_exact_mut(c).zip(copies) {
                        to.copy_from_slice(&q[from * c..][..c]);
                    }
                    &*wide
                }
                None => q,
            };
            forward(level, &self.shape, source, x, None, y, work);
            match &self.copies {
                Some(copies) => {
                    let c = self.shape.cin;
                    input_grad(level, &self.shape, y, x, wide, work);
                    to.fill(0.0);
                    for (from, &at) in wide.chunks_exact(c).zip(copies) {
                        to[at * c..][..c].iter_mut().zip(from).for_each(|(to, from)| *to += from);
                    }
                }
                None => input_grad(level, &self.shape, y, x, to, work),
            }
        };
        let pixels = self.image[0] * self.image[1];
        for (at, start) in basis[..image].iter_mut().enumerate() {
            *start = Self::start((at % self.shape.cin * pixels + at / self.shape.cin) as u32);
        }
        let most_vectors = Self::most_vectors(image);
        let residual = |vectors| Self::residual(vectors, most_vectors);
        let (theta, end) = largest_ritz(most_vectors, residual, product, v, basis);
        if theta == 0.0 {
            return;
        }
        let factor = if end == End::Open { Self::open_factor(most_vectors, image) } else { Self::SAFETY };
        let length = (factor * theta.sqrt() * 2f64.powi(exponent)).min(f64::from(most));
        scale(v, (length / dot(v, v).sqrt()) as f32);
    }
}
