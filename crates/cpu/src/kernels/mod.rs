//! Compute kernels over slices. They allocate nothing: callers own all memory, scratch included.
pub mod conv2d;
pub mod gemm;
pub mod parallel;
pub mod pool;
pub mod sort;
mod tile;
pub mod transpose;
