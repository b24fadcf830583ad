//! Named storage of the engine: parameters, optimizer slots, attack variables.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};
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
    /// The GPU that holds a newer value than `value`, or `HOME`.
    newest: AtomicUsize,
    life: Arc<()>,
}

/// No GPU: the host has the newest value.
const HOME: usize = usize::MAX;

impl State {
    /// A state of zeros.
    pub fn zeroed(id: StateId, spec: Spec) -> Result<Self> {
        let value = Bytes::zeroed(spec.bytes())?;
        Ok(State::with(id, spec, value))
    }

    /// A state without a value: no step may read it before one has written it.
    pub fn pending(id: StateId, spec: Spec) -> Result<Self> {
        let state = State::zeroed(id, spec)?;
        state.version.store(0, Ordering::Release);
        Ok(state)
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
        Ok(State::with(id, spec, Bytes::copy_of(bytes)?))
    }

    fn with(id: StateId, spec: Spec, value: Bytes) -> Self {
        let (version, newest) = (AtomicU64::new(1), AtomicUsize::new(HOME));
        State { id, spec, value: RwLock::new(value), version, newest, life: Arc::default() }
    }

    /// Ends when the state does.
    pub fn life(&self) -> Weak<()> {
        Arc::downgrade(&self.life)
    }

    /// The GPU that has a newer value than the host.
    pub fn away(&self) -> Option<usize> {
        Some(self.newest.load(Ordering::Acquire)).filter(|&gpu| gpu != HOME)
    }

    /// Notes that a GPU has made a new value; its version.
    pub fn advance(&self, gpu: usize) -> u64 {
        self.newest.store(gpu, Ordering::Release);
        self.version.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Takes the newest value from the GPU that has it.
    pub fn bring_home(&self, bytes: &[u8]) {
        self.value.write().unwrap_or_else(PoisonError::into_inner).as_mut().copy_from_slice(bytes);
        self.newest.store(HOME, Ordering::Release);
    }

    /// The host's value, which cannot change while the guard is held.
    pub fn read(&self) -> RwLockReadGuard<'_, Bytes> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows whenever the value changes: from 1 with the first one, 0 before.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Sets the value; `bytes` has the length of the spec.
    pub fn write(&self, bytes: &[u8]) {
        self.bring_home(bytes);
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}
