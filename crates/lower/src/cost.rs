//! What kernels cost, counted from what they compute.
use std::collections::HashMap;

use crate::dispatch::Cost;
use crate::emit;
use crate::levels::Group;
use crate::value::{Computation, Value};

/// The cost of a kernel of elementwise ops.
pub fn of_group(values: &[Value], group: &Group) -> Cost {
    let written: usize = group.stored.iter().map(|&v| values[v].spec.len()).sum();
    let reads = emit::reads(values, group);
    let read = once(values, reads.iter().map(|access| (access.source, access.distinct())));
    Cost { operations: 0, words: (written + read) as u64 }
}

/// The cost of all kernels of an op.
pub fn of_op(values: &[Value], value: &Value) -> Cost {
    match &value.computation {
        Computation::Kernels { operands, .. } => {
            let read = once(values, operands.iter().map(|access| (access.source, access.len())));
            Cost { operations: value.operations, words: (value.spec.len() + read) as u64 }
        }
        _ => Cost::default(),
    }
}

/// Words of all sources, of which parts are read: together at most the whole of each.
fn once(values: &[Value], reads: impl Iterator<Item = (usize, usize)>) -> usize {
    let mut of_source: HashMap<usize, usize> = HashMap::new();
    for (source, words) in reads {
        let read = of_source.entry(source).or_default();
        *read = (*read + words).min(values[source].spec.len());
    }
    of_source.into_values().sum()
}
