//! The operations, one folder each, and their registry.
use std::sync::OnceLock;
use tslip_graph::Registry;

pub mod conv;
pub mod create;
pub mod elementwise;
pub mod emit;
mod group;
pub mod index;
pub mod linear;
pub mod pool;
pub mod reduce;
pub mod shape;
pub mod sort;
pub mod spectral;
pub mod support;
#[cfg(test)]
mod testing;

/// Every op of tslip by its name.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut ops = Registry::default();
        conv::register(&mut ops);
        create::register(&mut ops);
        elementwise::register(&mut ops);
        index::register(&mut ops);
        linear::register(&mut ops);
        pool::register(&mut ops);
        reduce::register(&mut ops);
        shape::register(&mut ops);
        sort::register(&mut ops);
        spectral::register(&mut ops);
        ops
    })
}
