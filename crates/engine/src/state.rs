//! Named storage of the engine: parameters, optimizer slots, attack variables.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::{Error, Result, Spec, StateId};

/// A tensor that outlives a step. Its value changes only between steps.
#[derive(Debug)]
pub struct State {
    /// Identity within the engine; never used again.
    pub id: StateId,
    /// Shape and element type.
    pub spec: Spec,
    value: RwLock<Bytes>,
    version: AtomicU64,
}

impl State {
    /// A state of zeros.
    pub fn zeroed(id: StateId, spec: Spec) -> Result<Self> {
        let value = RwLock::new(Bytes::zeroed(spec.bytes())?);
        Ok(State { id, spec, value, version: AtomicU64::new(1) })
    }

    /// A state with the given value.
    pub fn new(id: StateId, spec: Spec, bytes: &[u8]) -> Result<Self> {
        if bytes.len() != spec.bytes() {
            let (got, want) = (bytes.len(), spec.bytes());
            return Err(Error::argument(format!(
                "a {} state of shape {:?} takes {want} bytes, {got} were given",
                spec.dtype, spec.shape
            )));
        }
        Ok(State { id, spec, value: RwLock::new(Bytes::copy_of(bytes)?), version: AtomicU64::new(1) })
    }

    /// The value, which cannot change while the guard is held.
    pub fn read(&self) -> RwLockReadGuard<'_, Bytes> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows whenever the value changes.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Sets the value; `bytes` has the length of the spec.
    pub fn write(&self, bytes: &[u8]) {
        self.value.write().unwrap_or_else(PoisonError::into_inner).as_mut().copy_from_slice(bytes);
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}
