//! How much of a device's memory a plan takes, told before it runs.
use tslip_graph::{Kind, Plan, Result, Spec};
use tslip_lower::{Lowerings, Variant};

use crate::request::States;

/// Bytes that a plan takes on a device. The data set that feeds it is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// What lives during a step; all plans have it in common.
    pub arena: u64,
    /// Its states; other plans may use them too.
    pub states: u64,
    /// Its inputs, and the parameter-only values that it keeps.
    pub own: u64,
}

/// Bytes of a word, which every element takes whatever its type.
const WORD: u64 = 4;

impl Footprint {
    /// That of a plan with its states.
    ///
    /// # Errors
    /// Those of lowering the plan.
    pub fn of(plan: &Plan, lowered: &Lowerings, states: &dyn States) -> Result<Footprint> {
        let bytes = |spec: &Spec| WORD * spec.len() as u64;
        let of = |known| lowered.of(plan, Variant { known, held: false });
        let (fresh, known) = (of(false)?, of(true)?);
        let inputs = plan.graph.nodes().iter().filter(|node| matches!(node.kind, Kind::Input { .. }));
        let kept = fresh.kept.iter().map(|&index| bytes(plan.graph.spec(plan.parameter_only[index].node)));
        Ok(Footprint {
            arena: WORD * fresh.arena.max(known.arena) as u64,
            states: states.uses().iter().map(|&(id, _)| bytes(states.spec(id))).sum(),
            own: inputs.map(|node| bytes(&node.spec)).chain(kept).sum(),
        })
    }
}
