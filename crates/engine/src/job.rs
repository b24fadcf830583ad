//! A job: plans run for many steps in one call, fed from a data set, with tables of scalars, until a state says stop.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::{DType, Error, Kind, Plan, Result, Spec, StateId};

use crate::backend::{Backend, StepRequest};
use crate::buffers::Buffers;
use crate::dataset::Dataset;
use crate::executors::Executors;
use crate::on_cpu::OnCpu;
use crate::on_gpu::OnGpu;
use crate::request::{DatasetFeed, Done, JobRequest, OnProgress, RunResult};
use crate::state::State;
use crate::step::{Prepared, Step};
use crate::table::Table;

/// Progress is reported at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);
/// Scalars that may wait where they were computed before they are read.
const MOST_UNREAD: usize = 4096;
const _: () = assert!(MOST_UNREAD <= tslip_gpu::SCALARS, "a device has room for them");

/// A checked request with everything it needs; it does not notice when states or plans are freed later.
pub struct Job {
    stretches: Vec<(Arc<Prepared>, usize)>,
    profiled: bool,
    /// Those of each stretch.
    inputs: Vec<Vec<Bytes>>,
    buffers: Arc<Buffers>,
    feed: Option<(Arc<Dataset>, DatasetFeed)>,
    fed: usize,
    tables: Vec<(Arc<State>, Vec<f32>)>,
    until: Option<(Arc<State>, usize)>,
    versions_of: Vec<Arc<State>>,
    here: bool,
    total: usize,
    /// Steps that were handed to the backend.
    submitted: usize,
    /// Scalars that have not been read.
    unread: usize,
    result: RunResult,
    backend: Runner,
    pub(crate) cancel: Arc<AtomicBool>,
    /// States that its steps assign or its tables set; nothing for none.
    pub(crate) writes: Option<Arc<[StateId]>>,
    on_progress: Option<OnProgress>,
    reported: Instant,
    done: Option<Done>,
}

/// Where a job runs. Small steps are those of the CPU: they allocate nothing for it, and move no more than they need.
enum Runner {
    Cpu(OnCpu),
    Gpu(Box<OnGpu>),
}

impl Runner {
    fn as_mut(&mut self) -> &mut dyn Backend {
        match self {
            Runner::Cpu(backend) => backend,
            Runner::Gpu(backend) => &mut **backend,
        }
    }
}

impl Job {
    /// Checks a request against what exists now.
    pub fn new(
        request: JobRequest,
        table: &Table,
        cancel: Arc<AtomicBool>,
        on_progress: Option<OnProgress>,
        done: Done,
    ) -> Result<Job> {
        let stretches: Vec<(Arc<Prepared>, usize)> =
            request.stretches.iter().map(|s| Ok((table.plan(s.plan)?, s.steps))).collect::<Result<_>>()?;
        let too_many = || Error::argument("a job of so many steps would never end: give fewer");
        let total = stretches.iter().try_fold(0usize, |sum, s| sum.checked_add(s.1)).ok_or_else(too_many)?;
        if total == 0 {
            return Err(Error::argument("a job needs at least one step"));
        }
        let scalars = |p: &Prepared| p.scalar_outputs.len();
        if stretches.iter().any(|s| scalars(&s.0) != scalars(&stretches[0].0)) {
            return Err(Error::argument("all plans of a job must return the same number of scalars"));
        }
        let gpu = stretches[0].0.gpu;
        if stretches.iter().any(|(prepared, _)| prepared.gpu != gpu) {
            return Err(Error::argument("all plans of a job must be compiled for one device"));
        }
        let feed = match request.dataset {
            Some(feed) => Some((table.dataset(feed.id)?, feed)),
            None => None,
        };
        let mut inputs: Vec<Vec<Bytes>> = request.stretches.into_iter().map(|s| s.inputs).collect();
        for ((prepared, _), inputs) in stretches.iter().zip(&mut inputs) {
            check_inputs(&prepared.plan, inputs, feed.as_ref())?;
            if let Some((_, feed)) = &feed {
                make_fed(inputs, feed)?;
            }
        }
        if let Some((dataset, feed)) = &feed {
            let samples =
                |sum: usize, (p, steps): &(Arc<Prepared>, usize)| sum.checked_add(p.plan.batch.checked_mul(*steps)?);
            let taken = stretches.iter().try_fold(0, samples).ok_or_else(too_many)?;
            if feed.order.len() < taken {
                let given = feed.order.len();
                return Err(Error::argument(format!("{total} steps take {taken} samples, the order names {given}")));
            }
            if let Some(index) = feed.order.iter().find(|&&i| i as usize >= dataset.len) {
                let len = dataset.len;
                return Err(Error::argument(format!("the order names sample {index} of a data set of {len}")));
            }
        }
        let mut tables = Vec::new();
        for t in request.tables {
            let state = scalar_state(table, t.state, DType::F32)?;
            if t.values.len() != total {
                let given = t.values.len();
                return Err(Error::argument(format!("a table for {total} steps holds {given} values")));
            }
            tables.push((state, t.values));
        }
        let until = match request.until {
            Some(u) if u.check_every == 0 => return Err(Error::argument("checkEvery must be at least 1")),
            Some(u) if !stretches.iter().all(|(prepared, _)| prepared.involves(u.state)) => {
                let id = scalar_state(table, u.state, DType::Bool)?.id;
                return Err(Error::argument(format!("state {id} cannot end the job: its steps do not touch it")));
            }
            Some(u) => Some((scalar_state(table, u.state, DType::Bool)?, u.check_every)),
            None => None,
        };
        let versions_of = request.versions_of.iter().map(|&id| table.state(id)).collect::<Result<_>>()?;
        let backend = match gpu {
            None => Runner::Cpu(OnCpu::new(&stretches, request.profile)),
            Some(index) => Runner::Gpu(Box::new(OnGpu::new(index, request.profile))),
        };
        let assigned = stretches.iter().flat_map(|(prepared, _)| prepared.plan.assigns.iter().map(|a| a.state));
        let writes: Vec<StateId> = assigned.chain(tables.iter().map(|(state, _)| state.id)).collect();
        let writes = (!writes.is_empty()).then(|| writes.into());
        Ok(Job {
            stretches,
            profiled: request.profile,
            inputs,
            buffers: table.buffers.clone(),
            feed,
            fed: 0,
            tables,
            until,
            versions_of,
            here: request.here,
            total,
            submitted: 0,
            unread: 0,
            result: RunResult::default(),
            backend,
            cancel,
            writes,
            on_progress,
            reported: Instant::now(),
            done: Some(done),
        })
    }

    /// Whether it is one step of so little work that the caller's thread may do it.
    pub(crate) fn is_tiny(&self, executors: &Executors) -> bool {
        let [(prepared, 1)] = &self.stretches[..] else { return false };
        self.here
            && prepared.tiny
            && self.feed.is_none()
            && prepared.away(None).next().is_none()
            && Step::new(prepared, &self.inputs[0]).known(&executors.cpu)
    }

    /// Runs one step. True when the job has ended, and its result has been handed over. Nothing that goes wrong in it, or in
    /// what a caller wants to be told, ends more than this job.
    pub(crate) fn advance(&mut self, executors: &mut Executors) -> bool {
        let outcome = match guarded("a step or a report of progress", || self.step(executors)) {
            Ok(false) => return false,
            Ok(true) => Ok(()),
            Err(error) => Err(self.backend.as_mut().reason(error)),
        };
        let ended = guarded("the end of a job", || {
            self.backend.as_mut().end(executors);
            Ok(())
        });
        self.finish(outcome.and(ended));
        true
    }

    /// Hands over the result, or the reason why there is none.
    pub(crate) fn finish(&mut self, outcome: Result<()>) {
        self.buffers.give_back(std::mem::take(&mut self.inputs).into_iter().flatten());
        if let Some(done) = self.done.take() {
            let result = outcome.map(|()| std::mem::take(&mut self.result));
            // Whoever was to be told has failed: there is nobody left to tell of that.
            let _ = guarded("what is told of the end of a job", || {
                done(result);
                Ok(())
            });
        }
    }

    /// One step: all of its states change, or none. True when the job is over.
    fn step(&mut self, executors: &mut Executors) -> Result<bool> {
        let index = self.submitted;
        let stretch = self.stretch_of(index);
        let prepared = self.stretches[stretch].0.clone();
        let scalars = prepared.scalar_outputs.len();
        prepared.check_written()?;
        executors.bring(&prepared, &self.tables, &self.cancel)?;
        let last = index + 1 == self.total;
        let due = self.on_progress.is_some() && self.reported.elapsed() >= PROGRESS_EVERY;
        // What another plan would do after the end is not tried.
        let turn = self.until.is_some() && !last && self.stretch_of(index + 1) != stretch;
        let reads = last || due || turn || self.unread + scalars >= MOST_UNREAD;
        let step = StepRequest {
            prepared: &prepared,
            index,
            stretch,
            inputs: &mut self.inputs[stretch],
            buffers: &self.buffers,
            feed: self.feed.as_ref(),
            fed: self.fed,
            tables: &self.tables,
            until: self.until.as_ref().map(|(state, _)| &**state),
            look: self.until.as_ref().is_some_and(|(_, every)| reads || (index + 1).is_multiple_of(*every)),
            last,
            cancel: &self.cancel,
        };
        let backend = self.backend.as_mut();
        // Nobody else writes states while a step is under way.
        self.result.versions = self.versions_of.iter().map(|state| state.version()).collect();
        backend.submit(executors, step)?;
        self.submitted += 1;
        self.unread += scalars;
        self.fed += prepared.plan.batch;
        let ended = backend.poll(executors, reads, &self.cancel)?;
        let stop = last || ended.is_some();
        if reads || stop {
            backend.scalars(executors, &self.cancel, &mut self.result.scalars)?;
            self.unread = 0;
            self.result.steps = ended.unwrap_or(self.submitted);
            // Steps after the end have changed nothing, and say nothing.
            self.result.scalars.truncate(self.result.steps * scalars);
        }
        if stop {
            self.result.outputs = backend.outputs(executors, &prepared, &self.cancel)?;
            if self.profiled {
                self.result.profile = backend.profile(executors, &self.stretches);
            }
            self.set_untouched(&prepared);
        }
        if due || stop {
            self.report(scalars);
        }
        Ok(stop)
    }

    /// Gives states that the steps do not touch what the tables say of the last step.
    fn set_untouched(&self, prepared: &Prepared) {
        if self.result.steps < self.submitted {
            for (state, values) in self.tables.iter().filter(|(state, _)| !prepared.involves(state.id)) {
                state.write(&values[self.result.steps - 1].to_le_bytes());
            }
        }
    }

    /// The stretch that a step belongs to.
    fn stretch_of(&self, step: usize) -> usize {
        let mut end = 0;
        let within = |(_, steps): &(Arc<Prepared>, usize)| {
            end += steps;
            step < end
        };
        self.stretches.iter().position(within).unwrap_or_else(|| unreachable!("a job runs no more steps than it has"))
    }

    fn report(&mut self, scalars: usize) {
        let Some(on_progress) = &self.on_progress else { return };
        self.reported = Instant::now();
        let values = &self.result.scalars;
        on_progress(self.result.steps, self.total, &values[values.len() - scalars..]);
    }
}

/// Runs what may panic by a mistake of ours or of a caller: that becomes an error.
fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| Err(panicked(what, &*cause)))
}

fn panicked(what: &str, cause: &(dyn std::any::Any + Send)) -> Error {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    Error::internal(format!("{what} panicked: {}", text.unwrap_or("no message")))
}

fn scalar_state(table: &Table, id: u32, dtype: DType) -> Result<Arc<State>> {
    let state = table.state(id)?;
    if state.spec != Spec::new([], dtype) {
        let spec = &state.spec;
        return Err(Error::argument(format!(
            "state {id} is {} of shape {:?}; a 0-d {dtype} state is needed here",
            spec.dtype, spec.shape
        )));
    }
    Ok(state)
}

/// Makes inputs that a data set feeds of those that are missing at the end.
fn make_fed(inputs: &mut Vec<Bytes>, feed: &DatasetFeed) -> Result<()> {
    let last = feed.image_input.max(feed.target_input);
    if last > inputs.len() + 1 {
        let given = inputs.len();
        return Err(Error::argument(format!("the data set feeds input {last}, but {given} inputs were given")));
    }
    inputs.resize_with(inputs.len().max(last + 1), Bytes::default);
    Ok(())
}

/// Every input a plan reads is given, with the size it takes.
fn check_inputs(plan: &Plan, inputs: &[Bytes], feed: Option<&(Arc<Dataset>, DatasetFeed)>) -> Result<()> {
    for node in plan.graph.nodes() {
        let Kind::Input { index, .. } = node.kind else { continue };
        let spec = &node.spec;
        if let Some((dataset, feed)) = feed {
            let sample = Spec::new(spec.shape.get(1..).unwrap_or_default(), spec.dtype);
            let fits = match index {
                i if i == feed.image_input => Some(sample == dataset.image),
                i if i == feed.target_input => Some(sample == dataset.target),
                _ => None,
            };
            match fits {
                Some(true) if spec.shape.first() == Some(&plan.batch) => continue,
                Some(_) => {
                    return Err(Error::shape(format!(
                        "input {index} is {} of shape {:?}; the data set gives {} images of {} {:?} and targets of {} {:?}",
                        spec.dtype,
                        spec.shape,
                        plan.batch,
                        dataset.image.dtype,
                        dataset.image.shape,
                        dataset.target.dtype,
                        dataset.target.shape
                    )));
                }
                None => {}
            }
        }
        let given = inputs.get(index).map_or(0, |b| b.as_ref().len());
        if given != spec.bytes() {
            return Err(Error::shape(format!(
                "input {index} is {} of shape {:?} and takes {} bytes; {given} were given",
                spec.dtype,
                spec.shape,
                spec.bytes()
            )));
        }
    }
    Ok(())
}
