//! Parameter-only values that are kept on a device from step to step.
use std::collections::HashMap;
use tslip_graph::{Plan, Result, StateId};

use crate::heap::{Heap, Range};
use crate::request::{DevicePlan, States};

/// Values by the fingerprint of their expression, which all plans share.
#[derive(Debug, Default)]
pub struct KeptValues(HashMap<u128, KeptValue>);

#[derive(Debug)]
struct KeptValue {
    range: Range,
    /// The step that used it last.
    used: u64,
    /// The states that it was computed from, with their versions.
    made_from: Option<Vec<(StateId, u64)>>,
}

/// The fingerprint of the parameter-only value of a plan that has an index.
pub fn fingerprint(plan: &Plan, index: usize) -> u128 {
    plan.graph.node(plan.parameter_only[index].node).fingerprint
}

impl KeptValues {
    /// Sees to it that there are words for those values of a plan that have these indices.
    pub fn hold(&mut self, heap: &mut Heap, plan: &Plan, indices: &[usize], step: u64) -> Result<()> {
        for &index in indices {
            let known = self.0.get_mut(&fingerprint(plan, index)).map(|kept| kept.used = step);
            if known.is_none() {
                let range = heap.take(plan.graph.spec(plan.parameter_only[index].node).len())?;
                self.0.insert(fingerprint(plan, index), KeptValue { range, used: step, made_from: None });
            }
        }
        Ok(())
    }

    /// Notes that a step uses values.
    pub fn touch(&mut self, fingerprints: &[u128], step: u64) {
        for fingerprint in fingerprints {
            self.0.entry(*fingerprint).and_modify(|kept| kept.used = step);
        }
    }

    /// The first word of a value of the step under way.
    pub fn at(&self, fingerprint: u128) -> usize {
        self.0[&fingerprint].range.at
    }

    /// Whether there are words for all of these values.
    pub fn have(&self, fingerprints: &[u128]) -> bool {
        fingerprints.iter().all(|fingerprint| self.0.contains_key(fingerprint))
    }

    /// Whether all of these values, of which there are some, are those of the states as they will be in a step that sets some of
    /// them first.
    pub fn know(&self, fingerprints: &[u128], states: &dyn States, set: &[(StateId, f32)]) -> bool {
        let same = |&(id, version): &(StateId, u64)| states.version(id) == version && set.iter().all(|s| s.0 != id);
        let fresh = |kept: &KeptValue| kept.made_from.as_ref().is_some_and(|from| from.iter().all(same));
        !fingerprints.is_empty() && fingerprints.iter().all(|fingerprint| self.0.get(fingerprint).is_some_and(fresh))
    }

    /// Notes that these values of a plan have been computed from its states as they are.
    pub fn remember(&mut self, fingerprints: &[u128], plan: DevicePlan<'_>) {
        for (index, value) in plan.plan.parameter_only.iter().enumerate() {
            let fingerprint = fingerprint(plan.plan, index);
            if fingerprints.contains(&fingerprint)
                && let Some(kept) = self.0.get_mut(&fingerprint)
            {
                let from = value.states.iter().map(|&id| (id, plan.states.version(id)));
                kept.made_from = Some(from.collect());
            }
        }
    }

    /// Gives back the words of values that a step does not use; whether there were any.
    pub fn make_room(&mut self, heap: &mut Heap, step: u64) -> bool {
        self.keep(heap, |_, kept| kept.used == step)
    }

    /// Gives back the words of all values but those `wanted`.
    pub fn sweep(&mut self, heap: &mut Heap, wanted: impl Fn(u128) -> bool) {
        self.keep(heap, |fingerprint, _| wanted(fingerprint));
    }

    fn keep(&mut self, heap: &mut Heap, which: impl Fn(u128, &KeptValue) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|fingerprint, kept| heap.keep_if(which(*fingerprint, kept), &[kept.range]));
        self.0.len() < before
    }
}
