//! What the host reads of a device: outputs, states, scalars of steps, and whether a job is to end.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tslip_graph::{DType, Error, Result, Spec, StateId};

use crate::heap::Range;
use crate::readback::Staging;
use crate::residency::no_value;
use crate::store::{MOST_STAGINGS, Store};
use crate::task::{Run, Task};

impl Store {
    /// What ran in the last step of a plan, with the milliseconds of a step that was timed.
    pub fn explain(&self, task: Task<'_>, times: &[f64]) -> String {
        let ready = self.plans.get(&(Arc::as_ptr(task.life) as usize));
        let program = ready.and_then(|r| r.programs[r.last].as_ref());
        program.map(|program| program.lowered.explain(task.plan, times)).unwrap_or_default()
    }

    /// The values of the outputs of the plan that a job has run last; those of the step that ended it, where one has.
    pub fn outputs(&mut self, run: &Run, task: Task<'_>, cancel: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        let ready = self.plans.get(&(Arc::as_ptr(task.life) as usize));
        let Some((ready, program)) = ready.and_then(|r| Some((r, r.programs[r.last].as_ref()?))) else {
            return Err(Error::internal("a plan that was not run has no outputs"));
        };
        let specs = task.plan.outputs.iter().map(|&node| task.plan.graph.spec(node));
        let wanted: Vec<(Range, DType)> = (program.lowered.outputs.iter().zip(specs))
            .map(|(&(place, offset), spec)| {
                let at = self.resolve(run, ready, task.plan, place) + offset;
                (Range { at, words: spec.len() }, spec.dtype)
            })
            .collect();
        self.read(&wanted, cancel)
    }

    /// The value of a state that the device holds, for the host to keep.
    pub fn state(&mut self, id: StateId, spec: &Spec, cancel: &AtomicBool) -> Result<Vec<u8>> {
        let Some(resident) = self.residents.get(&id) else { return Err(no_value(id)) };
        let wanted = [(Range { at: resident.range.at, words: spec.len() }, spec.dtype)];
        let value = self.read(&wanted, cancel)?.pop().unwrap_or_default();
        self.residents.entry(id).and_modify(|resident| resident.at_home = true);
        Ok(value)
    }

    /// The scalars of the steps since they were read last.
    pub fn scalars(&mut self, run: &mut Run, cancel: &AtomicBool) -> Result<Vec<f32>> {
        match &mut run.scalars {
            Some(staging) => staging.take(&self.device, cancel),
            None => Ok(Vec::new()),
        }
    }

    /// The smallest buffer for reading that has room for so many words; a new one if none has.
    pub(crate) fn staging(&mut self, words: usize) -> Result<Staging> {
        let fits = (0..self.stagings.len()).filter(|&i| self.stagings[i].room() >= words);
        match fits.min_by_key(|&i| self.stagings[i].room()) {
            Some(index) => Ok(self.stagings.swap_remove(index)),
            None => Staging::of(&self.device, words),
        }
    }

    /// Whether a job that may end has, after all steps submitted so far.
    pub(crate) fn has_ended(&mut self, run: &mut Run, cancel: &AtomicBool) -> Result<bool> {
        if let (Some(control), None) = (run.control, run.ended) {
            let word = self.read(&[(Range { at: control.at, words: 1 }, DType::I32)], cancel)?;
            let step = word[0].iter().rev().fold(0, |word, &byte| word << 8 | usize::from(byte));
            run.ended = (step > 0).then_some(step);
        }
        Ok(run.ended.is_some())
    }

    fn read(&mut self, wanted: &[(Range, DType)], cancel: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        let words: usize = wanted.iter().map(|(range, _)| range.words).sum();
        let mut staging = self.staging(words)?;
        let values = staging.read(&self.device, &self.heap, wanted, cancel);
        if values.is_ok() {
            self.stagings.push(staging);
            self.stagings.truncate(MOST_STAGINGS);
        }
        values
    }

    /// Waits until the device has carried out what was submitted to it, at most until then.
    pub fn settle(&self, until: Instant) {
        self.device.submissions.settle(until);
    }

    /// The step that ended a job, as far as it is known of steps after which the device was to be looked at.
    pub fn stopped(&mut self, run: &mut Run, wait: bool, cancel: &AtomicBool) -> Result<Option<usize>> {
        if !run.flags.is_empty() {
            self.device.submissions.look();
        }
        while let Some(flag) = run.flags.front() {
            if wait {
                self.device.submissions.wait(cancel, |_| flag.is_known())?;
            }
            if !flag.is_known() {
                break;
            }
            let Some(flag) = run.flags.pop_front() else { break };
            let step = flag.take(&self.device)?;
            self.flags.push(flag);
            if step > 0 {
                run.ended = Some(step as usize);
                break;
            }
        }
        Ok(run.ended)
    }
}
