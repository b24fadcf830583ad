//! The N-API binding; the only crate that knows JavaScript.
//!
//! It converts and nothing else: numbers are checked before they become sizes, tensors cross as bytes and are copied,
//! errors cross as JSON in the message of a JavaScript error.
#![deny(missing_docs)]

mod bounds;
mod certificates;
mod convert;
mod devices;
mod engine;
mod files;
mod machine;
mod raster;

use napi_derive::napi;

/// Version of the addon, which is that of the package.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
