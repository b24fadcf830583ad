//! The seam to what runs steps: the loop of a job submits them, asks whether one has ended the job, and reads what they gave.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::{Error, Result};

use crate::buffers::Buffers;
use crate::dataset::Dataset;
use crate::executors::Executors;
use crate::request::DatasetFeed;
use crate::state::State;
use crate::step::Prepared;

/// One step of a job.
pub struct StepRequest<'a> {
    /// The plan.
    pub prepared: &'a Prepared,
    /// Its position in the job, from 0.
    pub index: usize,
    /// The stretch of the job that it belongs to.
    pub stretch: usize,
    /// Bytes of the inputs; those that a data set feeds may be overwritten.
    pub inputs: &'a mut [Bytes],
    /// Memory for inputs.
    pub buffers: &'a Buffers,
    /// Where samples come from.
    pub feed: Option<&'a (Arc<Dataset>, DatasetFeed)>,
    /// Samples that earlier steps have taken.
    pub fed: usize,
    /// Scalar states and the values that they take before each step.
    pub tables: &'a [(Arc<State>, Vec<f32>)],
    /// After the first step that leaves this state set, later ones change nothing.
    pub until: Option<&'a State>,
    /// Whether it is to be found out soon after the step whether one has.
    pub look: bool,
    /// Whether it is the last step of the job.
    pub last: bool,
    /// Ends the step, if it is not submitted yet.
    pub cancel: &'a AtomicBool,
}

/// Runs the steps of one job, in order, on what `Executors` hold.
pub trait Backend {
    /// Runs a step, or sees to it that it will run. Where it fails the step has changed nothing.
    fn submit(&mut self, executors: &mut Executors, step: StepRequest<'_>) -> Result<()>;

    /// The number of steps, counted from 1, after which the job ended, if that is known; with `wait` of all steps that were
    /// submitted.
    fn poll(&mut self, executors: &mut Executors, wait: bool, cancel: &AtomicBool) -> Result<Option<usize>>;

    /// Appends the scalars of the steps since the last call; of steps after the end they mean nothing.
    fn scalars(&mut self, executors: &mut Executors, cancel: &AtomicBool, to: &mut Vec<f64>) -> Result<()>;

    /// The outputs of the last step that was not after the end of the job, by its plan.
    fn outputs(&mut self, executors: &mut Executors, prepared: &Prepared, cancel: &AtomicBool) -> Result<Vec<Vec<u8>>>;

    /// The plans of the stretches of a measured job in words, with milliseconds.
    fn profile(&self, executors: &mut Executors, stretches: &[(Arc<Prepared>, usize)]) -> String;

    /// What an error of the job comes from, where that is known better than it says: drivers panic where a device is lost.
    fn reason(&self, error: Error) -> Error {
        error
    }

    /// Gives back what the job held.
    fn end(&mut self, executors: &mut Executors);
}
