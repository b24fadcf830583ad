//! A job on a GPU: steps are submitted without waiting for their results.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tslip_gpu::{Feed, Run, Task, Variation};
use tslip_graph::{Code, Error, Result, StateId};

use crate::backend::{Backend, StepRequest};
use crate::executors::Executors;
use crate::step::Prepared;

/// The part of a job that is on a GPU.
pub struct OnGpu {
    index: usize,
    timed: bool,
    run: Option<Run>,
}

impl OnGpu {
    /// A job that has not begun; with `timed` each dispatch is measured.
    pub fn new(index: usize, timed: bool) -> Self {
        OnGpu { index, timed, run: None }
    }
}

impl Backend for OnGpu {
    fn submit(&mut self, executors: &mut Executors, step: StepRequest<'_>) -> Result<()> {
        if step.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "the run was cancelled"));
        }
        let store = executors.gpu(self.index)?;
        let run = self.run.get_or_insert_with(|| store.begin());
        let (on_device, elsewhere): (Vec<_>, Vec<_>) =
            step.tables.iter().partition(|(state, _)| step.prepared.involves(state.id));
        let tables: Vec<(StateId, f32)> =
            on_device.iter().map(|(state, values)| (state.id, values[step.index])).collect();
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
        let variation = Variation { tables: &tables, fed: step.fed, timed: self.timed, until, look: step.look };
        store.step(run, task(step.prepared), step.inputs, feed, variation, step.cancel)?;
        elsewhere.iter().for_each(|(state, values)| state.write(&values[step.index].to_le_bytes()));
        Ok(())
    }

    fn poll(&mut self, executors: &mut Executors, wait: bool, cancel: &AtomicBool) -> Result<Option<usize>> {
        match &mut self.run {
            Some(run) => executors.gpu(self.index)?.stopped(run, wait, cancel),
            None => Ok(None),
        }
    }

    fn scalars(&mut self, executors: &mut Executors, cancel: &AtomicBool, to: &mut Vec<f64>) -> Result<()> {
        if let Some(run) = &mut self.run {
            to.extend(executors.gpu(self.index)?.scalars(run, cancel)?.into_iter().map(f64::from));
        }
        Ok(())
    }

    fn outputs(&mut self, executors: &mut Executors, prepared: &Prepared, cancel: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        match &self.run {
            Some(run) => executors.gpu(self.index)?.outputs(run, task(prepared), cancel),
            None => Ok(Vec::new()),
        }
    }

    fn profile(&self, executors: &mut Executors, _: &[(Arc<Prepared>, usize)], last: &Prepared) -> String {
        match (&self.run, executors.gpu(self.index)) {
            (Some(run), Ok(store)) => store.explain(task(last), &run.times),
            _ => String::new(),
        }
    }

    fn end(&mut self, executors: &mut Executors) {
        if let (Some(run), Ok(store)) = (self.run.take(), executors.gpu(self.index)) {
            store.end(run);
        }
    }
}

fn task(prepared: &Prepared) -> Task<'_> {
    Task {
        life: &prepared.life,
        plan: &prepared.plan,
        lowered: &prepared.lowered,
        states: prepared,
        scalars: &prepared.scalar_outputs,
    }
}
