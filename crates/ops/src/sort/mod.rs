//! Sorting inside groups of consecutive channels (GroupSort, Anil et al. 2019), and moving values as a sort moves them.
#[cfg(test)]
mod cases;
pub mod group_permute;
pub mod group_sort;

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

/// Calls `group` for each group with the flat indices of its members: every `stride`-th from `start`.
fn each_group(shape: &[usize], axis: usize, size: usize, mut group: impl FnMut(usize, usize)) {
    let stride: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    for block in 0..outer * (shape[axis] / size) {
        for inner in 0..stride {
            group(block * size * stride + inner, stride);
        }
    }
}

/// Ranks of the members of a group: `order[k]` is the member that comes k-th. Ascending, NaN last; what is equal, as
/// -0 and 0 or two NaN are, stays in its order.
fn order<T: PartialOrd + Copy>(members: &[T], order: &mut Vec<usize>) {
    order.clear();
    order.extend(0..members.len());
    let nan = |v: T| v.partial_cmp(&v).is_none();
    order.sort_by(|&a, &b| {
        let (a, b) = (members[a], members[b]);
        a.partial_cmp(&b).unwrap_or_else(|| nan(a).cmp(&nan(b)))
    });
}
