//! The values of a plan while it is lowered: what computes each, when, and where it has to be.
use tslip_graph::gpu::{Elementwise, Launch};
use tslip_graph::{NodeId, Spec};

use crate::access::Access;
use crate::dispatch::Location;

/// What computes a value.
pub enum Computation {
    Leaf(Location),
    Host(NodeId),
    Elementwise {
        name: &'static str,
        function: Elementwise,
        operands: Vec<Access>,
    },
    Kernels {
        launches: Vec<Launch>,
        operands: Vec<Access>,
    },
    /// It is not computed: nobody reads it.
    Nothing,
}

/// A value that lies in memory, or in a register of the kernel that uses it.
pub struct Value {
    pub spec: Spec,
    pub computation: Computation,
    /// Floating-point operations.
    pub operations: u64,
    /// The first dispatch that works on it.
    pub level: usize,
    /// Whether it has rows for the samples of the batch.
    pub samples: bool,
    /// Whether it is asked for from outside.
    pub root: bool,
    /// Where it has to be written, if it is not in the arena.
    pub target: Option<Location>,
}

impl Value {
    pub fn operands(&self) -> &[Access] {
        match &self.computation {
            Computation::Elementwise { operands, .. } | Computation::Kernels { operands, .. } => operands,
            Computation::Leaf(_) | Computation::Host(_) | Computation::Nothing => &[],
        }
    }

    /// The first level at which another dispatch can read it.
    pub fn ready(&self) -> usize {
        match &self.computation {
            Computation::Leaf(_) | Computation::Host(_) | Computation::Nothing => 0,
            Computation::Elementwise { .. } => self.level + 1,
            Computation::Kernels { launches, .. } => self.level + launches.len(),
        }
    }
}
