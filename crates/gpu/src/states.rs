//! States of which a device holds the value.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Weak;
use tslip_graph::{Code, Error, Result, Spec, StateId};

use crate::heap::{Heap, Range};
use crate::request::States;
use crate::words::widened;

/// States on a device, by their numbers.
#[derive(Debug, Default)]
pub struct ResidentStates(HashMap<StateId, ResidentState>);

#[derive(Debug)]
struct ResidentState {
    range: Range,
    version: u64,
    /// Whether the host has this value, too.
    at_home: bool,
    /// The step that used it last.
    used: u64,
    life: Weak<()>,
}

impl ResidentStates {
    /// Sees to it that the device holds the newest values of all states of a plan.
    pub fn hold(&mut self, heap: &mut Heap, states: &dyn States, step: u64) -> Result<()> {
        for (id, _) in states.uses() {
            self.0.entry(*id).and_modify(|resident| resident.used = step);
        }
        for &(id, read) in states.uses() {
            let (version, spec) = (states.version(id), states.spec(id));
            let resident = match self.0.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let (range, life) = (heap.take(spec.len())?, states.life(id));
                    unknown.insert(ResidentState { range, version: 0, at_home: true, used: step, life })
                }
            };
            if read && resident.version != version {
                let range = resident.range;
                if !states.read(id, &mut |bytes| heap.write(range, &widened(bytes, spec.dtype))) {
                    return Err(no_value(id));
                }
                (resident.version, resident.at_home) = (version, true);
            }
        }
        Ok(())
    }

    /// The first word of a state of the step under way.
    pub fn at(&self, id: StateId) -> usize {
        self.0[&id].range.at
    }

    /// Notes that the device holds a newer value of a state than the host.
    pub fn advance(&mut self, states: &dyn States, id: StateId) {
        let resident = self.resident(id);
        (resident.version, resident.at_home) = (states.advance(id), false);
    }

    /// The words of a value that the host is to read.
    ///
    /// # Errors
    /// `DEVICE_LOST` where it went with an earlier device.
    pub fn value(&self, id: StateId, spec: &Spec) -> Result<Range> {
        let resident = self.0.get(&id).ok_or_else(|| no_value(id))?;
        Ok(Range { at: resident.range.at, words: spec.len() })
    }

    /// Notes that the host has read the value of a state.
    pub fn came_home(&mut self, id: StateId) {
        self.0.entry(id).and_modify(|resident| resident.at_home = true);
    }

    /// Gives back the words of states of which the host has the value and that a step does not use; whether there were any.
    pub fn make_room(&mut self, heap: &mut Heap, step: u64) -> bool {
        self.keep(heap, |state| !state.at_home || state.used == step)
    }

    /// Gives back the words of states that are no more.
    pub fn sweep(&mut self, heap: &mut Heap) {
        self.keep(heap, |state| state.life.strong_count() > 0);
    }

    fn keep(&mut self, heap: &mut Heap, which: impl Fn(&ResidentState) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|_, state| heap.keep_if(which(state), &[state.range]));
        self.0.len() < before
    }

    fn resident(&mut self, id: StateId) -> &mut ResidentState {
        self.0.get_mut(&id).unwrap_or_else(|| unreachable!("a plan reads and writes its own states"))
    }
}

/// The error for a state whose newest value went with a device.
fn no_value(id: StateId) -> Error {
    let message = format!(
        "the value of state {id} was lost with the GPU that held it: load the last checkpoint and go on, on this device or \
         with device \"cpu\""
    );
    Error::new(Code::DeviceLost, message)
}
