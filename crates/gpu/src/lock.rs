//! Locks that a panic elsewhere does not poison: what they guard is whole at any time.
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a mutex guards.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
