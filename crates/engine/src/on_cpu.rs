//! A job on the CPU: a step is done when it has been submitted.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::Result;
use tslip_graph::plan::Profile;

use crate::backend::{Backend, StepRequest};
use crate::executors::Executors;
use crate::step::{Prepared, Step};

/// The part of a job that is on the CPU.
#[derive(Default)]
pub struct OnCpu {
    /// One for each stretch where time is measured, else none.
    profiles: Vec<Profile>,
    scalars: Vec<f64>,
    outputs: Vec<Vec<u8>>,
    ended: Option<usize>,
}

impl OnCpu {
    /// A job that has not begun; with `measured` the time of each node of these plans is kept.
    pub fn new(stretches: &[(Arc<Prepared>, usize)], measured: bool) -> Self {
        let measured = if measured { stretches } else { &[] };
        let profiles = measured.iter().map(|(p, _)| Profile::new(p.plan.graph.nodes().len())).collect();
        OnCpu { profiles, ..OnCpu::default() }
    }
}

impl Backend for OnCpu {
    fn submit(&mut self, executors: &mut Executors, mut step: StepRequest<'_>) -> Result<()> {
        let executor = &mut executors.cpu;
        gather(&mut step)?;
        let before: Vec<Bytes> = step.tables.iter().map(|(state, _)| state.read().clone()).collect();
        for (state, values) in step.tables {
            state.write(&values[step.index].to_le_bytes());
        }
        let run = Step::new(step.prepared, step.inputs);
        if let Err(error) = run.run(executor, step.cancel, self.profiles.get(step.stretch)) {
            // It holds its states for reading.
            drop(run);
            for ((state, _), value) in step.tables.iter().zip(&before) {
                state.write(value.as_ref());
            }
            return Err(error);
        }
        let ends = step.until.is_some_and(|state| run.after(executor, state)[0] != 0);
        if ends || step.last {
            self.outputs = run.outputs(executor)?;
        }
        run.scalars(executor, &mut self.scalars);
        self.ended = ends.then_some(step.index + 1);
        let changes = run.changes(executor);
        drop(run);
        changes.commit(step.prepared, executor);
        Ok(())
    }

    fn poll(&mut self, _: &mut Executors, _wait: bool, _: &AtomicBool) -> Result<Option<usize>> {
        Ok(self.ended)
    }

    fn scalars(&mut self, _: &mut Executors, _: &AtomicBool, to: &mut Vec<f64>) -> Result<()> {
        to.append(&mut self.scalars);
        Ok(())
    }

    fn outputs(&mut self, _: &mut Executors, _: &Prepared, _: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        Ok(std::mem::take(&mut self.outputs))
    }

    fn profile(&self, _: &mut Executors, stretches: &[(Arc<Prepared>, usize)]) -> String {
        stretches.iter().zip(&self.profiles).map(|((p, _), profile)| p.plan.explain(Some(profile))).collect()
    }

    fn end(&mut self, _: &mut Executors) {}
}

/// Copies the next samples of the data set into the inputs they feed.
fn gather(step: &mut StepRequest<'_>) -> Result<()> {
    let Some((dataset, feed)) = step.feed else { return Ok(()) };
    let batch = step.prepared.plan.batch;
    let indices = &feed.order[step.fed..step.fed + batch];
    let mut buffer = |input: usize, bytes: usize| -> Result<Bytes> {
        let mut buffer = std::mem::take(&mut step.inputs[input]);
        if buffer.capacity() == 0 {
            return step.buffers.take(bytes);
        }
        buffer.resize(bytes)?;
        Ok(buffer)
    };
    let mut images = buffer(feed.image_input, batch * dataset.image.bytes())?;
    let mut targets = buffer(feed.target_input, batch * dataset.target.bytes())?;
    dataset.gather(indices, images.as_mut(), targets.as_mut());
    step.inputs[feed.image_input] = images;
    step.inputs[feed.target_input] = targets;
    Ok(())
}
