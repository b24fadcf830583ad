//! What a caller asks of a job, and what it gets back.
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::{Result, StateId};

/// A plan, how many times in a row it is run, and on what.
#[derive(Clone, Debug)]
pub struct StretchRequest {
    /// Number of a compiled plan.
    pub plan: u32,
    /// How many steps.
    pub steps: usize,
    /// Bytes of each input; empty where the data set feeds it.
    pub inputs: Vec<Bytes>,
}

/// Feeds each step with the next samples of a data set.
#[derive(Clone, Debug)]
pub struct DatasetFeed {
    /// Number of the data set.
    pub id: u32,
    /// Sample indices; each step takes as many as its plan has samples.
    pub order: Vec<u32>,
    /// Which input the images are.
    pub image_input: usize,
    /// Which input the targets are.
    pub target_input: usize,
}

/// Values that a 0-d f32 state takes, one before each step.
#[derive(Clone, Debug)]
pub struct TableRequest {
    /// The state.
    pub state: u32,
    /// One value a step.
    pub values: Vec<f32>,
}

/// Ends a job after the first step that leaves a state set. States, outputs, scalars and the number of steps are those of a job of
/// so many steps, whatever runs it: steps that a device has under way when it is found out change nothing.
#[derive(Clone, Debug)]
pub struct UntilRequest {
    /// A 0-d boolean state.
    pub state: u32,
    /// The state is looked at after every so many steps at least: a matter of cost alone.
    pub check_every: usize,
}

/// What a caller asks for.
#[derive(Clone, Debug, Default)]
pub struct JobRequest {
    /// Plans and steps, one after another.
    pub stretches: Vec<StretchRequest>,
    /// Where samples come from.
    pub dataset: Option<DatasetFeed>,
    /// Scalars that vary from step to step.
    pub tables: Vec<TableRequest>,
    /// When to stop early.
    pub until: Option<UntilRequest>,
    /// States of which the result tells what versions of them the last step found.
    pub versions_of: Vec<StateId>,
    /// Whether to measure the time of each node.
    pub profile: bool,
    /// Whether the caller's thread may do it if it is small.
    pub here: bool,
}

/// What a finished job hands back.
#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// Outputs of the last step.
    pub outputs: Vec<Vec<u8>>,
    /// For each step the outputs that are 0-d f32.
    pub scalars: Vec<f64>,
    /// Steps that were run.
    pub steps: usize,
    /// Of each of `versions_of` the version that the last step found.
    pub versions: Vec<u64>,
    /// Where time was to be measured, each stretch's plan in words with milliseconds.
    pub profile: String,
}

/// Called with the steps done, the steps in all and the scalars of the last step.
pub type OnProgress = Box<dyn Fn(usize, usize, &[f64]) + Send>;
/// Called once with the result.
pub type Done = Box<dyn FnOnce(Result<RunResult>) + Send>;
