//! What a device is asked to do, as data: kernels as texts, and the words and workgroups that they are run with.
use std::ops::AddAssign;
use tslip_graph::StateId;

/// Where a value lies in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Words from the start of the arena of the run.
    Arena(usize),
    /// An input of the run.
    Input(usize),
    /// A state.
    State(StateId),
    /// A parameter-only value that outlives the run: an index in `Plan::parameter_only`.
    Kept(usize),
    /// Words that say whether the job has ended, and the values of its tables.
    Control(usize),
    /// Words from the start of the outputs that a job keeps, because a later step may do nothing.
    Result(usize),
}

/// A word of a grid's part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Plain(u32),
    /// The index of a location's first word, and so many words more.
    At(Location, usize),
}

/// What one kernel is run on: one set of operands, and how many workgroups.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What it reads of the table.
    pub words: Vec<Word>,
    /// Workgroups, at least one.
    pub groups: usize,
}

/// One kernel on some sets of operands.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// What it is called.
    pub name: String,
    /// The text of the kernel.
    pub text: String,
    /// What it is run on.
    pub grids: Vec<Grid>,
    /// What all grids cost.
    pub cost: Cost,
}

/// Operations in the time that a word of memory takes, roughly.
const OF_WORD: u64 = 32;

/// What a kernel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of products, sums and the like; elementwise ops count by their words alone.
    pub operations: u64,
    /// Words that it moves if it reads those that it needs of its operands once and writes its results once. What is read again,
    /// and what the kernels of one op hand to each other, is left out.
    pub words: u64,
}

impl Cost {
    /// How many operations take as long.
    pub fn as_operations(self) -> u64 {
        self.operations.saturating_add(OF_WORD.saturating_mul(self.words))
    }

    /// Part `k` of so many equal ones; they add up to the whole.
    pub fn share(self, k: usize, parts: usize) -> Cost {
        let share = |whole: u64| {
            let up_to = |k: usize| (u128::from(whole) * k as u128 / parts as u128) as u64;
            up_to(k + 1) - up_to(k)
        };
        Cost { operations: share(self.operations), words: share(self.words) }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self = Cost { operations: self.operations + other.operations, words: self.words + other.words };
    }
}
