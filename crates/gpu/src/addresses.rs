//! Where in the heap the locations of a lowered plan are.
use tslip_graph::Plan;
use tslip_lower::Location;

use crate::arena::Arena;
use crate::ending::Ending;
use crate::inputs::Inputs;
use crate::kept::{KeptValues, fingerprint};
use crate::states::ResidentStates;

/// What lies somewhere now, for one step of a plan.
#[derive(Clone, Copy)]
pub struct Addresses<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where it computes.
    pub arena: &'a Arena,
    /// Its inputs.
    pub inputs: &'a Inputs,
    /// States.
    pub states: &'a ResidentStates,
    /// Parameter-only values.
    pub kept: &'a KeptValues,
    /// The job's own words, if it may end early.
    pub ending: Option<&'a Ending>,
}

impl Addresses<'_> {
    /// The word of the heap that a location is.
    pub fn of(&self, location: Location) -> usize {
        let ending = || self.ending.unwrap_or_else(|| unreachable!("a job that may end has words"));
        match location {
            Location::Arena(offset) => self.arena.at() + offset,
            Location::Input(index) => self.inputs.at(index),
            Location::Control(offset) => ending().control() + offset,
            Location::Result(offset) => ending().results() + offset,
            Location::State(id) => self.states.at(id),
            Location::Kept(index) => self.kept.at(fingerprint(self.plan, index)),
        }
    }
}
