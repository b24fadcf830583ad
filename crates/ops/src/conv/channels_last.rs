//! Calls a channels-last kernel, on copies of the operands where they are in canonical order.
use tslip_graph::Call;
use tslip_graph::arrange::inverse;
use tslip_graph::spec::strides;

use super::Layout;

/// Floats that [`run`] takes off the scratch for copies.
pub fn scratch(layout: Layout, inputs: &[&[usize]], output: &[usize]) -> usize {
    match layout {
        Layout::Nhwc => 0,
        Layout::Nchw => inputs.iter().copied().chain([output]).map(|s| s.iter().product::<usize>()).sum(),
    }
}

/// Calls `kernel(a, b, result, scratch)`; `axes` lead from the canonical order of both operands and of the result to
/// that of the kernel. With `add` the kernel adds to its result.
pub fn run(
    layout: Layout,
    axes: [[usize; 4]; 3],
    add: bool,
    mut call: Call<'_>,
    kernel: impl FnOnce(&[f32], &[f32], &mut [f32], &mut [f32]),
) {
    let [a, b] = [0, 1].map(|i| call.inputs[i]);
    let (shape, out) = (call.output.shape, call.output.f32());
    if layout == Layout::Nhwc {
        return kernel(a.f32(), b.f32(), out, call.scratch);
    }
    let (first, rest) = call.scratch.split_at_mut(a.f32().len());
    let (second, rest) = rest.split_at_mut(b.f32().len());
    let (result, rest) = rest.split_at_mut(out.len());
    permute(a.f32(), a.shape, &axes[0], first);
    permute(b.f32(), b.shape, &axes[1], second);
    if add {
        permute(out, shape, &axes[2], result);
    }
    kernel(first, second, result, rest);
    let there: Vec<usize> = axes[2].iter().map(|&axis| shape[axis]).collect();
    permute(result, &there, &inverse(&axes[2]), out);
}

/// `to` is `from` of four axes with its axes permuted.
pub fn permute(from: &[f32], shape: &[usize], axes: &[usize], to: &mut [f32]) {
    let from_strides = strides(shape);
    let [(d0, s0), (d1, s1), (d2, s2), (d3, s3)] = [0, 1, 2, 3].map(|i| (shape[axes[i]], from_strides[axes[i]]));
    let mut places = to.iter_mut();
    for start in (0..d0).flat_map(|i| (0..d1).flat_map(move |j| (0..d2).map(move |k| i * s0 + j * s1 + k * s2))) {
        for (place, l) in places.by_ref().take(d3).zip(0..d3) {
            *place = from[start + l * s3];
        }
    }
}
