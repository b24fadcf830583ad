//! Picking along an axis and its adjoint on a GPU.
use tslip_graph::Spec;
use tslip_graph::gpu::{Argument, Form, Kernel};

use super::Along;

/// Operand 0 at the positions that operand 1 names, `picked` along the axis; each element has an index of its own, or
/// rows share one.
pub fn pick(output: &Spec, picked: usize, along: Along, own: bool) -> Form {
    form(Kernel::new("pick", include_str!("pick.wgsl")), output, picked, along, own)
}

/// Zeros to which operand 0, with `count` values along the axis, is added at the positions that operand 1 names.
pub fn add_at(output: &Spec, count: usize, along: Along, own: bool) -> Form {
    form(Kernel::new("add at", include_str!("add_at.wgsl")), output, count, along, own)
}

fn form(kernel: Kernel, output: &Spec, count: usize, along: Along, own: bool) -> Form {
    let mut words: Vec<Argument> = [output.len(), count, along.inner, along.extent].map(Argument::size).to_vec();
    words.extend([Argument::Input(0), Argument::Input(1), Argument::Output]);
    Form::Kernels(vec![kernel.constant("ALONG", u32::from(own)).over(output.len(), words)])
}
