//! Parameter-only values, kept until one of the states that they depend on changes: effective weights above all.
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use tslip_graph::plan::Plan;
use tslip_graph::{Result, StateId};

use super::Leaves;
use super::memory::{Bytes, Region};

/// More values than this are not kept; those unused for longest go first.
const MOST_VALUES: usize = 1024;

/// Values of no state, such as initial weights, are dropped by no freed state: more bytes of them than this are not kept.
const MOST_CONSTANT_BYTES: usize = 16 << 20;

#[derive(Debug)]
struct Entry {
    /// The states and the versions of them that the value was computed from; `None` while it is not valid.
    made_from: Option<Vec<(StateId, u64)>>,
    states: Vec<StateId>,
    value: Bytes,
    used: u64,
}

impl Entry {
    fn is_fresh(&self, leaves: &dyn Leaves) -> bool {
        self.made_from.as_ref().is_some_and(|m| m.iter().all(|(id, v)| leaves.version(*id) == *v))
    }
}

/// Parameter-only values by the fingerprint of their expression, shared by all plans.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<u128, Entry, BuildHasherDefault<Fingerprint>>,
    clock: u64,
}

/// Fingerprints are spread evenly already.
#[derive(Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = self.0.rotate_left(8) ^ u64::from(b));
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}

impl Cache {
    /// Makes room for all parameter-only values of a plan; which of them have to be computed.
    pub fn refresh(&mut self, plan: &Plan, leaves: &dyn Leaves) -> Result<Vec<usize>> {
        self.clock += 1;
        let known = self.entries.len();
        let mut stale = Vec::new();
        for (index, value) in plan.parameter_only.iter().enumerate() {
            let node = plan.graph.node(value.node);
            let entry = match self.entries.entry(node.fingerprint) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => place.insert(Entry {
                    made_from: None,
                    states: value.states.clone(),
                    value: Bytes::zeroed(node.spec.bytes())?,
                    used: 0,
                }),
            };
            entry.used = self.clock;
            if !entry.is_fresh(leaves) {
                entry.made_from = None;
                stale.push(index);
            }
        }
        if self.entries.len() > MOST_VALUES {
            let mut times: Vec<u64> = self.entries.values().map(|e| e.used).collect();
            times.sort_unstable();
            let cutoff = times[times.len() - MOST_VALUES];
            let now = self.clock;
            self.entries.retain(|_, e| e.used >= cutoff || e.used == now);
        }
        if self.entries.len() > known {
            self.limit_constants();
        }
        Ok(stale)
    }

    /// Whether no parameter-only value of a plan has to be computed.
    pub fn knows(&self, plan: &Plan, leaves: &dyn Leaves) -> bool {
        let entry = |node: usize| self.entries.get(&plan.graph.node(node).fingerprint);
        plan.parameter_only.iter().all(|c| entry(c.node).is_some_and(|e| e.is_fresh(leaves)))
    }

    /// Drops values of no state, those unused for longest first; those in use now stay.
    fn limit_constants(&mut self) {
        let constants = self.entries.values().filter(|e| e.states.is_empty());
        let mut sizes: Vec<(u64, usize)> = constants.map(|e| (e.used, e.value.as_ref().len())).collect();
        sizes.sort_unstable_by_key(|&(used, _)| std::cmp::Reverse(used));
        let mut total = 0;
        let over = sizes.iter().find(|&&(_, bytes)| {
            total += bytes;
            total > MOST_CONSTANT_BYTES
        });
        if let Some(&(cutoff, _)) = over {
            let now = self.clock;
            self.entries.retain(|_, e| !e.states.is_empty() || e.used > cutoff || e.used == now);
        }
    }

    /// Declares the values that were stale computed.
    pub fn commit(&mut self, plan: &Plan, leaves: &dyn Leaves, stale: &[usize]) {
        for &index in stale {
            let value = &plan.parameter_only[index];
            if let Some(entry) = self.entries.get_mut(&plan.graph.node(value.node).fingerprint) {
                entry.made_from = Some(value.states.iter().map(|&id| (id, leaves.version(id))).collect());
            }
        }
    }

    /// Memory of a value that `refresh` has made room for. It stays where it is until the next `refresh` or `forget`.
    pub fn region(&mut self, fingerprint: &u128) -> Region {
        self.entries.get_mut(fingerprint).map_or(Region::NONE, |e| Region::of(&mut e.value))
    }

    /// A value.
    pub fn value(&self, fingerprint: &u128) -> &[u8] {
        self.entries[fingerprint].value.as_ref()
    }

    /// Drops what depends on a state.
    pub fn forget(&mut self, id: StateId) {
        self.entries.retain(|_, e| !e.states.contains(&id));
    }
}
