//! What runs steps: the CPU, and a store on each GPU that has been asked for.
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tslip_cpu::executor::Executor;
use tslip_gpu::{Store, open};
use tslip_graph::{Code, Processes, Result, StateId};

use crate::state::State;
use crate::step::Prepared;

/// Everything that runs steps of one engine.
#[derive(Debug)]
pub struct Executors {
    /// The CPU.
    pub cpu: Executor,
    gpus: HashMap<usize, Store>,
}

impl Executors {
    /// Of one of these processes.
    pub fn new(processes: Arc<dyn Processes>) -> Self {
        Executors { cpu: Executor::new(processes), gpus: HashMap::new() }
    }

    /// What is held on a GPU, which is opened first if need be. A device that was lost is given up, with all it held.
    pub fn gpu(&mut self, index: usize) -> Result<&mut Store> {
        if self.gpus.get(&index).is_some_and(|store| store.device.is_lost()) {
            self.gpus.remove(&index);
        }
        match self.gpus.entry(index) {
            std::collections::hash_map::Entry::Occupied(store) => Ok(store.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => Ok(place.insert(Store::new(open(index)?.device)?)),
        }
    }

    /// Brings the newest values of what a step reads to where it runs, or to the host from where it fetches them; and those of
    /// states that tables set, which a step that fails leaves as they were.
    pub fn bring(&mut self, prepared: &Prepared, tables: &[(Arc<State>, Vec<f32>)], cancel: &AtomicBool) -> Result<()> {
        for (gpu, state) in prepared.away(prepared.gpu) {
            self.bring_home(gpu, state, cancel)?;
        }
        for (state, _) in tables {
            if let Some(gpu) = state.away().filter(|&gpu| Some(gpu) != prepared.gpu) {
                match self.bring_home(gpu, state, cancel) {
                    // A value that was lost is none to go back to.
                    Err(error) if error.code != Code::DeviceLost => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn bring_home(&mut self, gpu: usize, state: &State, cancel: &AtomicBool) -> Result<()> {
        let value = self.gpu(gpu)?.state(state.id, &state.spec, cancel)?;
        state.bring_home(&value);
        Ok(())
    }

    /// Waits until the GPUs have carried out what was submitted to them, at most until then.
    pub fn settle(&self, until: Instant) {
        self.gpus.values().for_each(|store| store.settle(until));
    }

    /// Drops what belongs to a state that is no more.
    pub fn forget(&mut self, id: StateId) {
        self.cpu.forget(id);
    }
}
