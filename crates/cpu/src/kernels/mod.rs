//! Compute kernels over slices. They allocate nothing: callers own all memory, scratch included.
pub mod conv2d;
pub mod gemm;
pub mod parallel;
pub mod pool;
pub mod sort;
mod tile;
pub mod transpose;

/// The product of extents; `usize::MAX`, which is longer than any slice, where it has no such number.
pub(crate) fn product<const N: usize>(extents: [usize; N]) -> usize {
    extents.into_iter().fold(1, usize::saturating_mul)
}

/// Floats from the first to the last, both counted, of rows of `len` floats at each place that these axes of `[count, stride]`
/// lead to; as for [`product`] where there is no such number. No count may be 0.
pub(crate) fn span<const N: usize>(axes: [[usize; 2]; N], len: usize) -> usize {
    let last = |[count, stride]: [usize; 2]| count.saturating_sub(1).saturating_mul(stride);
    axes.into_iter().map(last).fold(len, usize::saturating_add)
}
