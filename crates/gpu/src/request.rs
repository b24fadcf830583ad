//! What a step is run with: a plan, the states that it reads and writes, what feeds it, and what varies from step to step.
use std::sync::{Arc, Weak};
use tslip_graph::{Plan, Spec, StateId};
use tslip_lower::Lowerings;

/// States of the engine that a plan reads and writes.
pub trait States {
    /// All of them, and whether the plan reads them.
    fn uses(&self) -> &[(StateId, bool)];
    /// Ends when the state does.
    fn life(&self, id: StateId) -> Weak<()>;
    /// Shape and element type.
    fn spec(&self, id: StateId) -> &Spec;
    /// Grows whenever the value changes.
    fn version(&self, id: StateId) -> u64;
    /// Shows the value, if the host has its newest.
    fn read(&self, id: StateId, with: &mut dyn FnMut(&[u8])) -> bool;
    /// Says that the device holds a newer value than the host; the version of that.
    fn advance(&self, id: StateId) -> u64;
}

/// A plan that a device is to run.
#[derive(Clone, Copy)]
pub struct DevicePlan<'a> {
    /// Ends when the plan does; its address names the plan.
    pub life: &'a Arc<()>,
    /// The plan.
    pub plan: &'a Plan,
    /// What it is on a device.
    pub lowered: &'a Lowerings,
    /// Its states.
    pub states: &'a dyn States,
    /// Outputs whose value is kept for each step, by position; 0-d f32.
    pub scalars: &'a [usize],
}

impl DevicePlan<'_> {
    /// What tells it from all other plans that live.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(self.life) as usize
    }
}

/// A data set that feeds the inputs of a job.
#[derive(Clone, Copy)]
pub struct Feed<'a> {
    /// Ends when the data set does.
    pub life: &'a Arc<()>,
    /// Shape and element type of an image.
    pub image: &'a Spec,
    /// Bytes of all images.
    pub images: &'a [u8],
    /// Bytes of all targets, each element a word.
    pub targets: &'a [u8],
    /// Number of samples.
    pub len: usize,
    /// Samples in the order in which steps take them.
    pub order: &'a [u32],
    /// Which input the images are.
    pub image_input: usize,
    /// Which input the targets are.
    pub target_input: usize,
}

/// What varies from step to step.
#[derive(Clone, Copy)]
pub struct Variation<'a> {
    /// The stretch of the job that the step belongs to, which has its inputs.
    pub stretch: usize,
    /// Values of 0-d f32 states.
    pub tables: &'a [(StateId, f32)],
    /// Samples that earlier steps have taken of the data set.
    pub fed: usize,
    /// Whether each dispatch is to be timed, if the device can.
    pub timed: bool,
    /// A 0-d boolean state of the plan: after the first step that leaves it set, later steps change nothing. The same in all
    /// steps of a job.
    pub until: Option<StateId>,
    /// Whether the host is to be told, soon after the step, whether one has.
    pub look: bool,
}
