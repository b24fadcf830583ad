//! The operations, one folder each, and their registry.
use std::sync::OnceLock;
use tslip_graph::Registry;

pub mod emit;
pub mod support;

/// Every op of tslip by its name.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        #[allow(unused_mut)]
        let mut ops = Registry::default();
        ops
    })
}
