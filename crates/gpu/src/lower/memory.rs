//! Where stored values lie: those that are never alive together share words of the arena.
use tslip_graph::gpu::{Argument, Launch};
use tslip_graph::plan::memory::{Interval, allocate};

use super::access::Access;
use super::levels::Group;
use super::{Place, Value, Work, emit};

/// Bytes of a word.
const WORD: usize = 4;

/// The place of each value that is stored and, behind them, of each value's working memory; words of the arena.
pub fn places(values: &[Value], groups: &[Group], outputs: &[Access]) -> (Vec<Option<Place>>, usize) {
    let count = values.len();
    let mut last: Vec<Option<usize>> = vec![None; count];
    let mut read = |source: usize, level: usize| last[source] = last[source].max(Some(level));
    for group in groups {
        group.stored.iter().for_each(|&v| read(v, group.level));
        emit::reads(values, group).iter().for_each(|access| read(access.source, group.level));
    }
    for (v, value) in values.iter().enumerate() {
        let Work::Kernels { launches, operands } = &value.work else { continue };
        let end = value.level + launches.len().saturating_sub(1);
        read(v, end);
        operands.iter().for_each(|access| read(access.source, end));
    }
    outputs.iter().for_each(|access| read(access.source, usize::MAX));
    let mut places: Vec<Option<Place>> = vec![None; 2 * count];
    let (mut owners, mut intervals) = (Vec::new(), Vec::new());
    for (v, value) in values.iter().enumerate() {
        match (&value.work, value.target, last[v]) {
            (&Work::Leaf(place), ..) | (_, Some(place), _) => places[v] = Some(place),
            (work, None, Some(end)) => {
                let start = if matches!(work, Work::Host(_)) { 0 } else { value.level };
                owners.push(v);
                intervals.push(Interval { start, end, bytes: WORD * value.spec.len() });
                if let Work::Kernels { launches, .. } = work {
                    let end = value.level + launches.len().saturating_sub(1);
                    owners.push(count + v);
                    intervals.push(Interval { start, end, bytes: WORD * scratch_words(launches) });
                }
            }
            (_, None, None) => {}
        }
    }
    let (bytes, offsets) = allocate(&intervals);
    owners.into_iter().zip(offsets).for_each(|(owner, at)| places[owner] = Some(Place::Arena(at / WORD)));
    (places, bytes / WORD)
}

/// Where the working memory of value `v` is, of `count` in all.
pub fn scratch(places: &[Option<Place>], count: usize, v: usize) -> Option<Place> {
    places[count + v]
}

fn scratch_words(launches: &[Launch]) -> usize {
    let reach = |argument: &Argument| match *argument {
        Argument::Scratch { at, words } => at + words,
        _ => 0,
    };
    launches.iter().flat_map(|launch| &launch.arguments).map(reach).max().unwrap_or(0)
}
