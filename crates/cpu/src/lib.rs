//! The CPU engine: thread pool, SIMD kernels and the executor of plans.
