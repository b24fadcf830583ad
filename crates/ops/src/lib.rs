//! The operations, one folder each, and their registry.
use std::sync::{Arc, OnceLock};
use tslip_graph::{Basics, DType, Registry};

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

use create::full::Full;
use elementwise::add::Add;
use elementwise::binary::Binary;
use shape::permute::Permute;

/// Every op of tslip by its name.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut ops = Registry::new(Basics {
            add: || Arc::new(Binary::<Add>::OP),
            full: |shape, value| Arc::new(Full { shape: shape.to_vec(), value, dtype: DType::F32 }),
            permute: |axes| Arc::new(Permute { axes: axes.to_vec() }),
        });
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
