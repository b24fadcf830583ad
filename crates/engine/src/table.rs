//! What exists: states, plans and data sets by their numbers.
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tslip_graph::{Error, Result, StateId};

use crate::buffers::Buffers;
use crate::dataset::Dataset;
use crate::state::State;
use crate::step::{Prepared, no_state};

/// Everything that has a number: states, plans and data sets.
#[derive(Debug, Default)]
pub struct Table {
    next: AtomicU32,
    states: Mutex<HashMap<StateId, Arc<State>>>,
    plans: Mutex<HashMap<u32, Arc<Prepared>>>,
    datasets: Mutex<HashMap<u32, Arc<Dataset>>>,
    /// Memory of inputs.
    pub(crate) buffers: Arc<Buffers>,
}

impl Table {
    /// A number that nothing has.
    pub fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A state by its number.
    pub fn state(&self, id: StateId) -> Result<Arc<State>> {
        locked(&self.states).get(&id).cloned().ok_or_else(|| no_state(id))
    }

    /// Takes in a state under its number.
    pub fn add_state(&self, state: State) -> StateId {
        let id = state.id;
        locked(&self.states).insert(id, Arc::new(state));
        id
    }

    /// Forgets a state.
    pub fn remove_state(&self, id: StateId) -> Option<Arc<State>> {
        locked(&self.states).remove(&id)
    }

    /// A plan by its number.
    pub fn plan(&self, id: u32) -> Result<Arc<Prepared>> {
        let missing = || Error::argument(format!("there is no plan {id}: was it freed?"));
        locked(&self.plans).get(&id).cloned().ok_or_else(missing)
    }

    /// Takes in a plan.
    pub fn add_plan(&self, plan: Prepared) -> u32 {
        let id = self.number();
        locked(&self.plans).insert(id, Arc::new(plan));
        id
    }

    /// Forgets a plan.
    pub fn remove_plan(&self, id: u32) {
        locked(&self.plans).remove(&id);
    }

    /// A data set by its number.
    pub fn dataset(&self, id: u32) -> Result<Arc<Dataset>> {
        let missing = || Error::argument(format!("there is no data set {id}: was it freed?"));
        locked(&self.datasets).get(&id).cloned().ok_or_else(missing)
    }

    /// Takes in a data set.
    pub fn add_dataset(&self, dataset: Dataset) -> u32 {
        let id = self.number();
        locked(&self.datasets).insert(id, Arc::new(dataset));
        id
    }

    /// Forgets a data set.
    pub fn remove_dataset(&self, id: u32) -> Option<Arc<Dataset>> {
        locked(&self.datasets).remove(&id)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
