//! A job on a GPU: steps are submitted without waiting for their results.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tslip_gpu::{DeviceJob, DevicePlan, Feed, Variation};
use tslip_graph::{Code, Error, Result, StateId};

use crate::backend::{Backend, StepRequest};
use crate::executors::Executors;
use crate::step::Prepared;

/// The part of a job that is on a GPU.
pub struct OnGpu {
    index: usize,
    timed: bool,
    /// Of each stretch that has been begun, milliseconds of the dispatches of its last step.
    times: Vec<Vec<f64>>,
    job: Option<DeviceJob>,
}

impl OnGpu {
    /// A job that has not begun; with `timed` each dispatch is measured.
    pub fn new(index: usize, timed: bool) -> Self {
        OnGpu { index, timed, times: Vec::new(), job: None }
    }
}

impl Backend for OnGpu {
    fn submit(&mut self, executors: &mut Executors, step: StepRequest<'_>) -> Result<()> {
        if step.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "the run was cancelled"));
        }
        let store = executors.gpu(self.index)?;
        let job = self.job.get_or_insert_with(|| store.begin());
        let (touched, elsewhere): (Vec<_>, Vec<_>) =
            step.tables.iter().partition(|(state, _)| step.prepared.involves(state.id));
        let tables: Vec<(StateId, f32)> =
            touched.iter().map(|(state, values)| (state.id, values[step.index])).collect();
        let feed = step.feed.map(|(dataset, feed)| Feed {
            life: &dataset.life,
            image: &dataset.image,
            images: dataset.images(),
            targets: dataset.targets(),
            len: dataset.len,
            order: &feed.order,
            image_input: feed.image_input,
            target_input: feed.target_input,
        });
        let until = step.until.map(|state| state.id);
        let (stretch, timed) = (step.stretch, self.timed);
        let variation = Variation { stretch, tables: &tables, fed: step.fed, timed, until, look: step.look };
        store.step(job, on_device(step.prepared), step.inputs, feed, variation, step.cancel)?;
        if timed {
            self.times.resize(stretch + 1, Vec::new());
            self.times[stretch].clone_from(&job.times);
        }
        elsewhere.iter().for_each(|(state, values)| state.write(&values[step.index].to_le_bytes()));
        Ok(())
    }

    fn poll(&mut self, executors: &mut Executors, wait: bool, cancel: &AtomicBool) -> Result<Option<usize>> {
        match &mut self.job {
            Some(job) => executors.gpu(self.index)?.stopped(job, wait, cancel),
            None => Ok(None),
        }
    }

    fn scalars(&mut self, executors: &mut Executors, cancel: &AtomicBool, to: &mut Vec<f64>) -> Result<()> {
        if let Some(job) = &mut self.job {
            to.extend(executors.gpu(self.index)?.scalars(job, cancel)?.into_iter().map(f64::from));
        }
        Ok(())
    }

    fn outputs(&mut self, executors: &mut Executors, prepared: &Prepared, cancel: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        match &self.job {
            Some(job) => executors.gpu(self.index)?.outputs(job, on_device(prepared), cancel),
            None => Ok(Vec::new()),
        }
    }

    fn profile(&self, executors: &mut Executors, stretches: &[(Arc<Prepared>, usize)]) -> String {
        let Ok(store) = executors.gpu(self.index) else { return String::new() };
        stretches.iter().zip(&self.times).map(|((p, _), times)| store.explain(on_device(p), times)).collect()
    }

    fn reason(&self, error: Error) -> Error {
        let lost = || self.job.as_ref().and_then(DeviceJob::lost);
        if error.code == Code::Internal { lost().unwrap_or(error) } else { error }
    }

    fn end(&mut self, executors: &mut Executors) {
        if let (Some(job), Ok(store)) = (self.job.take(), executors.gpu(self.index)) {
            store.end(job);
        }
    }
}

/// A plan as a device is given it.
fn on_device(prepared: &Prepared) -> DevicePlan<'_> {
    DevicePlan {
        life: &prepared.life,
        plan: &prepared.plan,
        lowered: &prepared.lowered,
        states: prepared,
        scalars: &prepared.scalar_outputs,
    }
}
