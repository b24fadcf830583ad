//! The CPU engine: thread pool, SIMD kernels and the executor of plans.

pub mod executor;
pub mod kernels;
pub mod peak;
pub mod pool;
pub mod settings;
pub mod simd;
pub mod spectral;
