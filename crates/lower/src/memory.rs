//! Where stored values lie: those that are never alive together share words of the arena.
use tslip_graph::gpu::{Argument, Launch};
use tslip_graph::plan::memory::{Interval, allocate};

use crate::access::Access;
use crate::dispatch::Location;
use crate::emit;
use crate::levels::Group;
use crate::value::{Computation, Value};

/// Bytes of a word.
const WORD: usize = 4;

/// The location of each value that is stored and, behind them, of each value's working memory; words of the arena.
pub fn locations(values: &[Value], groups: &[Group], outputs: &[Access]) -> (Vec<Option<Location>>, usize) {
    let count = values.len();
    let mut last: Vec<Option<usize>> = vec![None; count];
    let mut read = |source: usize, level: usize| last[source] = last[source].max(Some(level));
    for group in groups {
        group.stored.iter().for_each(|&v| read(v, group.level));
        emit::reads(values, group).iter().for_each(|access| read(access.source, group.level));
    }
    for (v, value) in values.iter().enumerate() {
        let Computation::Kernels { launches, operands } = &value.computation else { continue };
        let end = value.level + launches.len().saturating_sub(1);
        read(v, end);
        operands.iter().for_each(|access| read(access.source, end));
    }
    outputs.iter().for_each(|access| read(access.source, usize::MAX));
    let mut locations: Vec<Option<Location>> = vec![None; 2 * count];
    let (mut owners, mut intervals) = (Vec::new(), Vec::new());
    for (v, value) in values.iter().enumerate() {
        match (&value.computation, value.target, last[v]) {
            (&Computation::Leaf(location), ..) | (_, Some(location), _) => locations[v] = Some(location),
            (computation, None, Some(end)) => {
                let start = if matches!(computation, Computation::Host(_)) { 0 } else { value.level };
                owners.push(v);
                intervals.push(Interval { start, end, bytes: WORD * value.spec.len() });
                if let Computation::Kernels { launches, .. } = computation {
                    let end = value.level + launches.len().saturating_sub(1);
                    owners.push(count + v);
                    intervals.push(Interval { start, end, bytes: WORD * scratch_words(launches) });
                }
            }
            (_, None, None) => {}
        }
    }
    let (bytes, offsets) = allocate(&intervals);
    owners.into_iter().zip(offsets).for_each(|(owner, at)| locations[owner] = Some(Location::Arena(at / WORD)));
    (locations, bytes / WORD)
}

/// Where the working memory of value `v` is, of `count` in all.
pub fn scratch(locations: &[Option<Location>], count: usize, v: usize) -> Option<Location> {
    locations[count + v]
}

fn scratch_words(launches: &[Launch]) -> usize {
    let reach = |argument: &Argument| match *argument {
        Argument::Scratch { at, words } => at + words,
        _ => 0,
    };
    launches.iter().flat_map(|launch| &launch.arguments).map(reach).max().unwrap_or(0)
}
