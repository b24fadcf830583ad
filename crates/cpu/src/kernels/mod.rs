//! Compute kernels over slices. They allocate nothing: callers own all memory, scratch included.
pub mod conv2d;
mod few_channels;
pub mod gemm;
pub mod parallel;
pub mod pool;
mod slide;
mod slide_grad;
pub mod sort;
mod tile;
pub mod transpose;
