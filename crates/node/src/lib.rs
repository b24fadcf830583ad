//! The N-API binding; the only crate that knows JavaScript.
