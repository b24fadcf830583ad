//! Sorting inside groups of consecutive channels (GroupSort, Anil et al. 2019), and moving values as a sort moves them.
#[cfg(test)]
mod cases;
pub mod group_permute;
pub mod group_sort;

use tslip_cpu::kernels::sort::Groups;
use tslip_graph::gpu::{Argument, Form, Kernel};
use tslip_graph::{Error, Operand, Registry, Result, Samples, Spec};

use crate::support::parse;

#[cfg(test)]
pub(crate) use cases::cases;
#[cfg(test)]
mod tests;

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("group_sort", parse::<group_sort::GroupSort>);
    ops.insert("group_permute", parse::<group_permute::GroupPermute>);
}

/// Refuses an axis that does not exist or does not divide into groups.
fn check(x: &Spec, axis: usize, group: usize) -> Result<()> {
    match x.shape.get(axis) {
        None => Err(Error::argument(format!("axis {axis} does not exist in shape {:?}", x.shape))),
        Some(n) if group == 0 || n % group != 0 => Err(Error::shape(format!(
            "axis {axis} of extent {n} does not divide into groups of {group}: choose a divisor of {n}"
        ))),
        Some(_) => Ok(()),
    }
}

fn samples(axis: usize, inputs: &[Operand<'_>]) -> Samples {
    match axis {
        0 => Samples::Whole,
        _ => Samples::PerSample { sliced: vec![true; inputs.len()] },
    }
}

/// What the kernels are told of groups of this size.
fn groups(shape: &[usize], axis: usize, size: usize) -> Groups {
    let outer = shape[..axis].iter().product::<usize>() * (shape[axis] / size);
    Groups { outer, size, stride: shape[axis + 1..].iter().product() }
}

/// The GPU kernel: operand `of[1]` moved as sorting the groups of operand `of[0]` moves, or back.
fn kernel(output: &Spec, axis: usize, size: usize, of: [usize; 2], back: bool) -> Form {
    let mut words: Vec<Argument> =
        [output.len(), size, output.shape[axis + 1..].iter().product()].map(Argument::size).to_vec();
    words.extend([Argument::Input(of[0]), Argument::Input(of[1]), Argument::Output]);
    let kernel = Kernel::new("groups in order", include_str!("groups.wgsl")).constant("BACK", u32::from(back));
    Form::Kernels(vec![kernel.over(output.len(), words)])
}

/// Calls `group` with the flat indices of the members of each group.
fn each_group(shape: &[usize], axis: usize, size: usize, mut group: impl FnMut(&[usize])) {
    let Groups { outer, stride, .. } = groups(shape, axis, size);
    for first in (0..outer).flat_map(|block| (0..stride).map(move |i| block * size * stride + i)) {
        group(&(0..size).map(|k| first + k * stride).collect::<Vec<_>>());
    }
}

/// The members of a group in the order of their values: ascending, NaN last; what is equal, as -0 and 0 or two NaN are,
/// stays in its order.
fn in_order(x: &[f64], members: &[usize]) -> Vec<usize> {
    let mut order = members.to_vec();
    order.sort_by(|&a, &b| x[a].partial_cmp(&x[b]).unwrap_or_else(|| x[a].is_nan().cmp(&x[b].is_nan())));
    order
}
