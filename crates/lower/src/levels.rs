//! When each value is computed, and which elementwise ops share a kernel.
use std::collections::{HashMap, HashSet};
use tslip_graph::gpu::Kernel;

use crate::access::{Access, squeezed};
use crate::value::{Computation, Value};

/// So few elements may be kept at any time.
const SMALL: usize = 1 << 16;

/// What may be computed twice.
const MOST_OPERATIONS: usize = 4;
const MOST_READS: usize = 3;
/// So many elements may be kept until a kernel has company, for so many levels.
const KEPT_FOR_COMPANY: usize = 1 << 26;
const LONGEST_WAIT: usize = 64;

/// How an elementwise op gets an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Element by element from an elementwise op over the same elements: in a register, at the same level.
    Register,
    /// The one element of an elementwise op, or a constant, computed again wherever it is used.
    Inline,
    /// From memory.
    Memory,
}

/// How `value`, an elementwise op, gets the operand that it reads as `access`.
pub fn link(values: &[Value], value: &Value, access: &Access) -> Link {
    let source = &values[access.source];
    let Computation::Elementwise { function, operands, .. } = &source.computation else { return Link::Memory };
    let (own, all) = (value.spec.len(), source.spec.len());
    let constant = operands.is_empty() && !function.expression.contains("$i");
    // What is written at the end of the run is read from memory: states change there, and with them what reads them.
    if constant || (all == 1 && own != 1 && value.target.is_none()) {
        return Link::Inline;
    }
    let same = access.offset == 0
        && access.is_contiguous()
        && own == all
        && squeezed(&source.spec.shape) == squeezed(&value.spec.shape);
    if same { Link::Register } else { Link::Memory }
}

/// Whether the operands of an op come from registers or from memory, and what it is given.
fn links<'a>(values: &'a [Value], value: &'a Value) -> impl Iterator<Item = (Link, &'a Access)> {
    let elementwise = matches!(value.computation, Computation::Elementwise { .. });
    value.operands().iter().map(move |access| match elementwise {
        true => (link(values, value, access), access),
        false => (Link::Memory, access),
    })
}

/// Gives every value its level.
pub fn assign(values: &mut [Value]) {
    for v in 0..values.len() {
        let after = links(values, &values[v]).map(|(link, access)| match link {
            Link::Memory => values[access.source].ready(),
            Link::Register | Link::Inline => values[access.source].level,
        });
        values[v].level = after.max().unwrap_or(0);
    }
    let end = values.iter().filter(|value| value.target.is_none()).map(Value::ready).max().unwrap_or(0);
    // What outlives the run is written when nothing reads its old value any more.
    values.iter_mut().filter(|value| value.target.is_some()).for_each(|value| value.level = end);
    let latest = delay(values, end);
    gather(values, &latest);
}

/// Moves ops later: elementwise ops to the level of what uses them, where that makes one kernel of both; and what comes after
/// the last op on samples, from gradients of effective weights to new parameters, as late as it can be: so the same
/// kernels for all weights meet.
fn delay(values: &mut [Value], end: usize) -> Vec<usize> {
    // The last level at which each value may be computed, and the first at which a register would take it.
    let mut latest = vec![usize::MAX; values.len()];
    let mut joins = vec![usize::MAX; values.len()];
    // Whether samples play no part any more in what uses a value.
    let mut tail = vec![true; values.len()];
    for v in (0..values.len()).rev() {
        let value = &values[v];
        tail[v] &= !value.samples && value.operands().iter().all(|access| !values[access.source].samples);
        let last = if value.root { latest[v].min(end.saturating_sub(1)) } else { latest[v] };
        let moved = match &value.computation {
            _ if value.target.is_some() || last == usize::MAX => None,
            Computation::Elementwise { .. } => {
                let joins = (last == joins[v] || value.root) && may_wait(values, value);
                (tail[v] || joins).then_some(last)
            }
            Computation::Kernels { launches, .. } => tail[v].then_some((last + 1).saturating_sub(launches.len())),
            Computation::Leaf(_) | Computation::Host(_) | Computation::Nothing => None,
        };
        if let Some(level) = moved {
            values[v].level = values[v].level.max(level);
        }
        let value = &values[v];
        for (link, access) in links(values, value) {
            let source = access.source;
            let register = link != Link::Memory && value.target.is_none();
            let bound = if register { value.level } else { value.level.saturating_sub(1) };
            latest[source] = latest[source].min(bound);
            tail[source] &= tail[v];
            if register || value.target.is_some() {
                joins[source] = joins[source].min(bound);
            }
        }
    }
    latest
}

/// Puts kernels off until they share most dispatches with others, where what they read and what reads them allows. `latest` says
/// until when each value may wait.
fn gather(values: &mut [Value], latest: &[usize]) {
    let mut found: HashSet<(Kernel, usize)> = HashSet::new();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&v| std::cmp::Reverse(values[v].level));
    for v in order {
        let read: usize = values[v].operands().iter().map(|access| values[access.source].spec.len()).sum();
        let value = &mut values[v];
        let Computation::Kernels { launches, .. } = &value.computation else { continue };
        let last = match read <= KEPT_FOR_COMPANY && !value.root {
            true => latest[v]
                .saturating_add(1)
                .saturating_sub(launches.len())
                .clamp(value.level, value.level + LONGEST_WAIT),
            false => value.level,
        };
        let company = |level: &usize| {
            let shared = launches.iter().enumerate().filter(|(k, l)| found.contains(&(l.kernel.clone(), level + k)));
            (shared.count(), std::cmp::Reverse(*level))
        };
        value.level = (value.level..=last).max_by_key(company).unwrap_or(value.level);
        found.extend(launches.iter().enumerate().map(|(k, launch)| (launch.kernel.clone(), value.level + k)));
    }
}

/// Whether keeping what an op reads until later takes little memory beside its result.
fn may_wait(values: &[Value], value: &Value) -> bool {
    let mut sources: Vec<usize> = value.operands().iter().map(|a| a.source).collect();
    sources.sort_unstable();
    sources.dedup();
    let computed = sources.into_iter().filter(|&s| !matches!(values[s].computation, Computation::Leaf(_)));
    let read = computed.map(|s| values[s].spec.len()).sum::<usize>();
    read <= SMALL.max(value.spec.len())
}

/// Elementwise ops that share a kernel.
pub struct Group {
    /// In order of computation.
    pub members: Vec<usize>,
    /// Those whose value something else reads.
    pub stored: Vec<usize>,
    /// When it runs.
    pub level: usize,
}

/// All kernels of elementwise ops.
pub fn groups(values: &[Value]) -> Vec<Group> {
    let mut leader: Vec<usize> = (0..values.len()).collect();
    let mut stored: Vec<bool> = values.iter().map(|value| value.root).collect();
    for value in 0..values.len() {
        for (link, access) in links(values, &values[value]) {
            let source = access.source;
            match link {
                Link::Register if values[source].level == values[value].level => {
                    let (a, b) = (find(&mut leader, source), find(&mut leader, value));
                    leader[a.max(b)] = a.min(b);
                }
                Link::Register if is_recomputed(values, value, source) => mark_inlined(values, source, &mut stored),
                Link::Register | Link::Memory => stored[source] = true,
                Link::Inline => mark_inlined(values, source, &mut stored),
            }
        }
    }
    // Single elements are computed together, whatever they are.
    let mut single: HashMap<usize, usize> = HashMap::new();
    for v in (0..values.len())
        .filter(|&v| matches!(values[v].computation, Computation::Elementwise { .. }) && values[v].spec.len() == 1)
    {
        let (first, own) = (*single.entry(values[v].level).or_insert(v), find(&mut leader, v));
        let first = find(&mut leader, first);
        leader[first.max(own)] = first.min(own);
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut of_leader = vec![usize::MAX; values.len()];
    for value in (0..values.len()).filter(|&v| matches!(values[v].computation, Computation::Elementwise { .. })) {
        let lead = find(&mut leader, value);
        if of_leader[lead] == usize::MAX {
            of_leader[lead] = groups.len();
            groups.push(Group { members: Vec::new(), stored: Vec::new(), level: values[value].level });
        }
        let group = &mut groups[of_leader[lead]];
        group.members.push(value);
        if stored[value] {
            group.stored.push(value);
        }
    }
    groups.retain(|group| !group.stored.is_empty());
    groups
}

/// Whether `value` computes its operand `source` again rather than having it stored by an earlier kernel: where that takes few
/// operations on few values that are stored anyhow. What is written at the end of the run reads no state.
pub fn is_recomputed(values: &[Value], value: usize, source: usize) -> bool {
    let (mut operations, mut reads) = (0, Vec::new());
    let cheap = values[value].target.is_none() && count(values, source, &mut operations, &mut reads);
    cheap && operations <= MOST_OPERATIONS && reads.len() <= MOST_READS
}

fn count(values: &[Value], value: usize, operations: &mut usize, reads: &mut Vec<usize>) -> bool {
    *operations += 1;
    let Computation::Elementwise { function, .. } = &values[value].computation else { return false };
    !values[value].samples
        && !values[value].root
        && !function.expression.contains("$i")
        && *operations <= MOST_OPERATIONS
        && links(values, &values[value]).all(|(link, access)| match link {
            Link::Memory => {
                if !reads.contains(&access.source) {
                    reads.push(access.source);
                }
                !matches!(values[access.source].computation, Computation::Elementwise { .. })
            }
            Link::Inline => true,
            Link::Register => count(values, access.source, operations, reads),
        })
}

/// An inlined op reads its operands itself: those that are not inlined with it have to be in memory.
fn mark_inlined(values: &[Value], value: usize, stored: &mut [bool]) {
    for (link, access) in links(values, &values[value]) {
        match link {
            Link::Memory => stored[access.source] = true,
            Link::Register | Link::Inline => mark_inlined(values, access.source, stored),
        }
    }
}

fn find(leader: &mut [usize], mut value: usize) -> usize {
    while leader[value] != value {
        leader[value] = leader[leader[value]];
        value = leader[value];
    }
    value
}
