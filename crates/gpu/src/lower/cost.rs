//! What kernels cost, counted from what they compute.
use std::collections::HashMap;
use std::ops::AddAssign;

use super::levels::Group;
use super::{Value, Work, emit};

/// Operations in the time that a word of memory takes, roughly.
const OF_WORD: u64 = 32;

/// What a kernel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of products, sums and the like; elementwise ops count by their words alone.
    pub operations: u64,
    /// Words that it moves if it reads those that it needs of its operands once and writes its results once. What is read again,
    /// and what the kernels of one op hand to each other, is left out.
    pub words: u64,
}

impl Cost {
    /// How many operations take as long.
    pub fn as_operations(self) -> u64 {
        self.operations.saturating_add(OF_WORD.saturating_mul(self.words))
    }

    /// Part `k` of so many equal ones; they add up to the whole.
    pub fn share(self, k: usize, parts: usize) -> Cost {
        let share = |whole: u64| {
            let up_to = |k: usize| (u128::from(whole) * k as u128 / parts as u128) as u64;
            up_to(k + 1) - up_to(k)
        };
        Cost { operations: share(self.operations), words: share(self.words) }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self = Cost { operations: self.operations + other.operations, words: self.words + other.words };
    }
}

/// The cost of a kernel of elementwise ops.
pub fn of_group(values: &[Value], group: &Group) -> Cost {
    let written: usize = group.stored.iter().map(|&v| values[v].spec.len()).sum();
    let reads = emit::reads(values, group);
    let read = once(values, reads.iter().map(|access| (access.source, access.distinct())));
    Cost { operations: 0, words: (written + read) as u64 }
}

/// The cost of all kernels of an op.
pub fn of_op(values: &[Value], value: &Value) -> Cost {
    match &value.work {
        Work::Kernels { operands, .. } => {
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
