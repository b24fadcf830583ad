//! A job on a GPU: steps are submitted without waiting for their results.
use std::sync::atomic::{AtomicBool, Ordering};
use tslip_gpu::{Feed, Run, Store, Task, Variation};
use tslip_graph::{Code, Error, Result, StateId};

use crate::executors::Executors;
use crate::job::{Job, PROGRESS_EVERY};
use crate::step::Prepared;

/// Scalars that may wait on the device before they are read.
const MOST_WAITING: usize = 4096;

/// The part of a job that is on a GPU.
pub struct OnGpu {
    index: usize,
    run: Option<Run>,
    /// Steps submitted.
    submitted: usize,
    /// Scalars on the device that have not been read.
    waiting: usize,
}

impl OnGpu {
    /// A job that has not begun.
    pub fn new(index: usize) -> Self {
        OnGpu { index, run: None, submitted: 0, waiting: 0 }
    }

    /// Submits one step; reads what is wanted now. True when it was the last.
    pub fn step(&mut self, job: &mut Job, executors: &mut Executors) -> Result<bool> {
        let cancel = job.cancel.clone();
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "the run was cancelled"));
        }
        let prepared = job.segments[job.segment_of(self.submitted)].0.clone();
        executors.bring(&prepared, &cancel)?;
        let store = executors.gpu(self.index)?;
        let mut run = match self.run.take() {
            Some(run) => run,
            None => store.begin(),
        };
        let outcome = self.submit(job, &prepared, store, &mut run, &cancel);
        self.run = Some(run);
        outcome
    }

    fn submit(
        &mut self,
        job: &mut Job,
        prepared: &Prepared,
        store: &mut Store,
        run: &mut Run,
        cancel: &AtomicBool,
    ) -> Result<bool> {
        let index = self.submitted;
        let (on_device, elsewhere): (Vec<_>, Vec<_>) =
            job.tables.iter().partition(|(state, _)| prepared.involves(state.id));
        let tables: Vec<(StateId, f32)> = on_device.iter().map(|(state, values)| (state.id, values[index])).collect();
        let feed = job.feed.as_ref().map(|(dataset, feed)| Feed {
            life: &dataset.life,
            image: &dataset.image,
            images: dataset.images(),
            labels: dataset.labels(),
            order: &feed.order,
            image_input: feed.image_input,
            label_input: feed.label_input,
        });
        let until = job.until.as_ref().filter(|(_, every)| (index + 1).is_multiple_of(*every));
        let until = until.map(|(state, _)| (state.id, index + 1));
        let task = task(prepared);
        let variation = Variation { tables: &tables, fed: job.fed, timed: !job.profiles.is_empty(), until };
        store.step(run, task, &job.inputs, feed, variation, cancel)?;
        elsewhere.iter().for_each(|(state, values)| state.write(&values[index].to_le_bytes()));
        self.submitted += 1;
        self.waiting += prepared.scalar_outputs.len();
        job.fed += prepared.plan.batch;
        let all = self.submitted == job.total;
        let stopped = store.stopped(run, all, cancel)?;
        let stop = all || stopped.is_some();
        let due = job.on_progress.is_some() && job.reported.elapsed() >= PROGRESS_EVERY;
        if stop || due || self.waiting >= MOST_WAITING {
            job.result.scalars.extend(store.scalars(run, cancel)?.into_iter().map(f64::from));
            self.waiting = 0;
            job.result.steps = stopped.unwrap_or(self.submitted);
            // Steps after the one that set the flag have changed nothing.
            job.result.scalars.truncate(job.result.steps * prepared.scalar_outputs.len());
            if stop {
                job.result.outputs = store.outputs(task, cancel)?;
                if !job.profiles.is_empty() {
                    job.result.profile = store.explain(task, &run.times);
                }
            }
            job.report(stop, prepared.scalar_outputs.len());
        }
        Ok(stop)
    }

    /// Gives back what the job held.
    pub fn end(&mut self, executors: &mut Executors) {
        if let (Some(run), Ok(store)) = (self.run.take(), executors.gpu(self.index)) {
            store.end(run);
        }
    }
}

fn task(prepared: &Prepared) -> Task<'_> {
    Task { life: &prepared.life, plan: &prepared.plan, states: prepared, scalars: &prepared.scalar_outputs }
}
