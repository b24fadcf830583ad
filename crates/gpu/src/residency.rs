//! Brings what a step reads to the device, and lets go of what nobody uses any more.
use std::collections::HashMap;
use std::sync::Arc;
use tslip_graph::{Code, Error, Kind, Plan, Result, StateId};
use tslip_lower::feed;

use crate::heap::Range;
use crate::store::{Kept, Ready, Resident, Samples, Store};
use crate::task::{Feed, Run, States, Task};
use crate::words::widened;

impl Store {
    /// Sees to it that the device holds the newest values of all states of a plan.
    pub(crate) fn hold_states(&mut self, states: &dyn States) -> Result<()> {
        for (id, _) in states.uses() {
            self.residents.entry(*id).and_modify(|resident| resident.used = self.steps);
        }
        for &(id, read) in states.uses() {
            let (version, spec) = (states.version(id), states.spec(id));
            if !self.residents.contains_key(&id) {
                let (range, life) = (self.take(spec.len())?, states.life(id));
                self.residents.insert(id, Resident { range, version: 0, at_home: true, used: self.steps, life });
            }
            let resident = resident(&mut self.residents, id);
            if read && resident.version != version {
                let range = resident.range;
                let heap = &self.heap;
                if !states.read(id, &mut |bytes| heap.write(range, &widened(bytes, spec.dtype))) {
                    return Err(no_value(id));
                }
                (resident.version, resident.at_home) = (version, true);
            }
        }
        Ok(())
    }

    /// Brings the inputs of a job to the device, or the data set that feeds them, once.
    pub(crate) fn load<B: AsRef<[u8]>>(
        &mut self,
        run: &mut Run,
        ready: &mut Ready,
        plan: &Plan,
        inputs: &[B],
        feed: Option<Feed<'_>>,
    ) -> Result<()> {
        let dataset = feed.map(|feed| Arc::as_ptr(feed.life) as usize);
        if let Some(samples) = dataset.and_then(|key| self.datasets.get_mut(&key)) {
            samples.used = self.steps;
        }
        if ready.loaded == run.number {
            return Ok(());
        }
        ready.loaded = 0;
        for node in plan.graph.nodes() {
            let Kind::Input { index, .. } = node.kind else { continue };
            let range = match ready.inputs.get(&index) {
                Some(&range) => range,
                None => *ready.inputs.entry(index).or_insert(self.take(node.spec.len())?),
            };
            let bytes = inputs.get(index).map_or(&[][..], |b| b.as_ref());
            if bytes.len() == node.spec.bytes() {
                self.heap.write(range, &widened(bytes, node.spec.dtype));
            }
        }
        if let (Some(feed), Some(key)) = (feed, dataset) {
            if !self.datasets.contains_key(&key) {
                let images = self.upload(feed.images)?;
                let targets = self.upload(feed.targets).inspect_err(|_| self.heap.give_back(images))?;
                let (life, used) = (Arc::downgrade(feed.life), self.steps);
                self.datasets.insert(key, Samples { images, targets, life, used });
            }
            let order = match run.order {
                Some(order) => order,
                None => {
                    let bytes: Vec<u8> = feed.order.iter().flat_map(|index| index.to_le_bytes()).collect();
                    let order = self.upload(&bytes)?;
                    run.order = Some(order);
                    order
                }
            };
            let samples = &self.datasets[&key];
            let control = [samples.images.at, samples.targets.at, order.at, 0, feed.order.len(), feed.len];
            let bytes: Vec<u8> = control.iter().flat_map(|&at| (at as u32).to_le_bytes()).collect();
            self.heap.write(Range { at: ready.control.at, words: feed::CONTROL }, &bytes);
        }
        ready.loaded = run.number;
        Ok(())
    }

    /// Bytes in words of their own, four each.
    fn upload(&mut self, bytes: &[u8]) -> Result<Range> {
        let range = self.take(bytes.len().div_ceil(4))?;
        let whole = bytes.len() / 4 * 4;
        self.heap.write(range, &bytes[..whole]);
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.heap.write(Range { at: range.at + whole / 4, words: 1 }, &last);
        }
        Ok(range)
    }

    /// Whether all kept values of a plan, of which there are some, are those of its states as they will be in a step that sets
    /// some of them first.
    pub(crate) fn knows(&self, states: &dyn States, kept: &[u128], set: &[(StateId, f32)]) -> bool {
        let same = |&(id, version): &(StateId, u64)| states.version(id) == version && set.iter().all(|s| s.0 != id);
        let fresh = |kept: &Kept| kept.made_from.as_ref().is_some_and(|from| from.iter().all(same));
        !kept.is_empty() && kept.iter().all(|fingerprint| self.kept.get(fingerprint).is_some_and(fresh))
    }

    /// Notes that the kept values of a plan have been computed from its states as they are.
    pub(crate) fn remember(&mut self, task: Task<'_>, kept: &[u128]) {
        for cached in &task.plan.cached {
            let fingerprint = task.plan.graph.node(cached.node).fingerprint;
            if kept.contains(&fingerprint)
                && let Some(kept) = self.kept.get_mut(&fingerprint)
            {
                let from = cached.states.iter().map(|&id| (id, task.states.version(id)));
                kept.made_from = Some(from.collect());
            }
        }
    }

    /// Gives back the words of all that can be brought again and that the step under way does not use: inputs and kept values of
    /// other plans, data sets, states of which the host has the value, and the arena. Whether there were any.
    pub(crate) fn make_room(&mut self) -> bool {
        let (now, mut free) = (self.steps, Vec::new());
        self.residents.retain(|_, state| keep(!state.at_home || state.used == now, state.range, &mut free));
        self.kept.retain(|_, kept| keep(kept.used == now, kept.range, &mut free));
        self.datasets.retain(|_, samples| {
            keep(samples.used == now, samples.images, &mut free);
            keep(samples.used == now, samples.targets, &mut free)
        });
        for ready in self.plans.values_mut() {
            free.extend(ready.inputs.drain().map(|(_, range)| range));
            ready.loaded = 0;
            if !ready.kept.iter().all(|fingerprint| self.kept.contains_key(fingerprint)) {
                ready.kept.clear();
                ready.programs = [None, None];
            }
        }
        if self.arena.words > 0 {
            free.push(std::mem::replace(&mut self.arena, Range { at: 0, words: 0 }));
        }
        self.layout += 1;
        let found = !free.is_empty();
        free.into_iter().for_each(|range| self.heap.give_back(range));
        found
    }

    /// Gives back the words of plans, states and data sets that are no more.
    pub(crate) fn sweep(&mut self) {
        let mut free: Vec<Range> = Vec::new();
        self.plans.retain(|_, ready| {
            let alive = ready.life.strong_count() > 0;
            if !alive {
                free.extend(ready.inputs.values());
                free.push(ready.control);
            }
            alive
        });
        self.residents.retain(|_, resident| keep(resident.life.strong_count() > 0, resident.range, &mut free));
        self.datasets.retain(|_, samples| {
            let alive = samples.life.strong_count() > 0;
            keep(alive, samples.images, &mut free);
            keep(alive, samples.targets, &mut free)
        });
        let plans = &self.plans;
        self.kept.retain(|fingerprint, kept| {
            keep(plans.values().any(|ready| ready.kept.contains(fingerprint)), kept.range, &mut free)
        });
        if !free.is_empty() {
            self.layout += 1;
        }
        free.into_iter().for_each(|range| self.heap.give_back(range));
    }
}

fn keep(alive: bool, range: Range, free: &mut Vec<Range>) -> bool {
    if !alive {
        free.push(range);
    }
    alive
}

/// A state that `hold_states` has brought.
pub(crate) fn resident(residents: &mut HashMap<StateId, Resident>, id: StateId) -> &mut Resident {
    residents.get_mut(&id).unwrap_or_else(|| unreachable!("a plan reads and writes its own states"))
}

/// The error for a state whose newest value went with a device.
pub(crate) fn no_value(id: StateId) -> Error {
    let message = format!(
        "the value of state {id} was lost with the GPU that held it: load the last checkpoint and go on, on this device or \
         with device \"cpu\""
    );
    Error::new(Code::DeviceLost, message)
}
