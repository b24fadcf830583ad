//! How a job ends early: after the first step that leaves a state set, kernels of later steps do nothing.
//!
//! A job that may end has words of its own. Before each step the first of them, the number of the step that ended the job, is
//! copied to the first word of the table of the dispatches, which every kernel looks at.
use tslip_graph::StateId;
use tslip_graph::gpu::Kernel;

use crate::dispatch::{Cost, Dispatch, Grid, Location, Word};
use crate::wgsl;

/// Words of a job before the values of its tables: the step that ended it, or 0, and the steps that were carried out.
pub const CONTROL: usize = 2;

/// What ends a job, and which states it sets before each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// A 0-d boolean state.
    pub until: StateId,
    /// 0-d f32 states.
    pub tables: Vec<StateId>,
}

impl Watch {
    /// Sets states to the values of the tables, before anything else: none where there are no tables.
    pub fn first(&self) -> Option<Dispatch> {
        let grid = |(index, &state): (usize, &StateId)| Grid {
            words: vec![Word::At(Location::Control(CONTROL + index), 0), Word::At(Location::State(state), 0)],
            groups: 1,
        };
        let grids: Vec<Grid> = self.tables.iter().enumerate().map(grid).collect();
        (!grids.is_empty()).then(|| dispatch(&Kernel::new("set states", include_str!("set.wgsl")), grids))
    }

    /// Counts the step and looks whether it was the last, behind everything else.
    pub fn last(&self) -> Dispatch {
        let words = vec![Word::At(Location::Control(0), 0), Word::At(Location::State(self.until), 0)];
        dispatch(&Kernel::new("end of step", include_str!("ends.wgsl")), vec![Grid { words, groups: 1 }])
    }
}

fn dispatch(kernel: &Kernel, grids: Vec<Grid>) -> Dispatch {
    Dispatch { name: kernel.name.to_string(), text: wgsl::module(kernel), grids, cost: Cost::default() }
}
