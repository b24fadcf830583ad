//! A job: plans run for many steps in one call, fed from a data set, with tables of scalars, until a state says stop.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::plan::Profile;
use tslip_graph::{DType, Error, Kind, Plan, Result, Spec};

use crate::buffers::Buffers;
use crate::dataset::Dataset;
use crate::engine::Table;
use crate::executors::Executors;
use crate::on_gpu::OnGpu;
use crate::state::State;
use crate::step::{Prepared, Step};

/// Progress is reported at most this often.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(50);

/// A plan and how many times in a row it is run.
#[derive(Clone, Debug)]
pub struct SegmentRequest {
    /// Number of a compiled plan.
    pub plan: u32,
    /// How many steps.
    pub steps: usize,
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
    /// Which input the labels are.
    pub label_input: usize,
}

/// Values that a 0-d f32 state takes, one before each step.
#[derive(Clone, Debug)]
pub struct TableRequest {
    /// The state.
    pub state: u32,
    /// One value a step.
    pub values: Vec<f32>,
}

/// Ends a job before its last step.
#[derive(Clone, Debug)]
pub struct UntilRequest {
    /// A 0-d boolean state.
    pub state: u32,
    /// Looked at after every so many steps.
    pub check_every: usize,
}

/// What a caller asks for.
#[derive(Clone, Debug, Default)]
pub struct JobRequest {
    /// Plans and steps, one after another.
    pub segments: Vec<SegmentRequest>,
    /// Bytes of each input; empty where the data set feeds it.
    pub inputs: Vec<Bytes>,
    /// Where samples come from.
    pub dataset: Option<DatasetFeed>,
    /// Scalars that vary from step to step.
    pub tables: Vec<TableRequest>,
    /// When to stop early.
    pub until: Option<UntilRequest>,
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
    /// Where time was to be measured, each segment's plan in words with milliseconds.
    pub profile: String,
}

/// Called with the steps done, the steps in all and the scalars of the last step.
pub type OnProgress = Box<dyn Fn(usize, usize, &[f64]) + Send>;
/// Called once with the result.
pub type Done = Box<dyn FnOnce(Result<RunResult>) + Send>;

/// A checked request with everything it needs; it does not notice when states or plans are freed later.
pub struct Job {
    pub(crate) segments: Vec<(Arc<Prepared>, usize)>,
    /// One for each segment where time is to be measured, else none.
    pub(crate) profiles: Vec<Profile>,
    pub(crate) inputs: Vec<Bytes>,
    buffers: Arc<Buffers>,
    pub(crate) feed: Option<(Arc<Dataset>, DatasetFeed)>,
    pub(crate) fed: usize,
    pub(crate) tables: Vec<(Arc<State>, Vec<f32>)>,
    pub(crate) until: Option<(Arc<State>, usize)>,
    here: bool,
    pub(crate) total: usize,
    pub(crate) result: RunResult,
    /// Where it runs, if that is a GPU.
    gpu: Option<OnGpu>,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) on_progress: Option<OnProgress>,
    pub(crate) reported: Instant,
    pub(crate) done: Option<Done>,
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
        let segments: Vec<(Arc<Prepared>, usize)> =
            request.segments.iter().map(|s| Ok((table.plan(s.plan)?, s.steps))).collect::<Result<_>>()?;
        let too_many = || Error::argument("a job of so many steps would never end: give fewer");
        let total = segments.iter().try_fold(0usize, |sum, s| sum.checked_add(s.1)).ok_or_else(too_many)?;
        if total == 0 {
            return Err(Error::argument("a job needs at least one step"));
        }
        let scalars = |p: &Prepared| p.scalar_outputs.len();
        if segments.iter().any(|s| scalars(&s.0) != scalars(&segments[0].0)) {
            return Err(Error::argument("all plans of a job must return the same number of scalars"));
        }
        let gpu = segments[0].0.gpu;
        if segments.iter().any(|(prepared, _)| prepared.gpu != gpu) {
            return Err(Error::argument("all plans of a job must be compiled for one device"));
        }
        let feed = match request.dataset {
            Some(feed) => Some((table.dataset(feed.id)?, feed)),
            None => None,
        };
        for (prepared, _) in &segments {
            check_inputs(&prepared.plan, &request.inputs, feed.as_ref())?;
        }
        if let Some((dataset, feed)) = &feed {
            let samples =
                |sum: usize, (p, steps): &(Arc<Prepared>, usize)| sum.checked_add(p.plan.batch.checked_mul(*steps)?);
            let taken = segments.iter().try_fold(0, samples).ok_or_else(too_many)?;
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
            Some(_) if gpu.is_some() && !tables.is_empty() => {
                // Steps that are under way when the end is heard of would move them on.
                return Err(Error::argument(
                    "a job on a GPU that may end early takes no tables: put the values into a state",
                ));
            }
            Some(u) if u.check_every == 0 => return Err(Error::argument("checkEvery must be at least 1")),
            Some(u) if !segments.iter().all(|(prepared, _)| prepared.involves(u.state)) => {
                let id = scalar_state(table, u.state, DType::Bool)?.id;
                return Err(Error::argument(format!("state {id} cannot end the job: its steps do not touch it")));
            }
            Some(u) => Some((scalar_state(table, u.state, DType::Bool)?, u.check_every)),
            None => None,
        };
        let mut inputs = request.inputs;
        if let Some((_, feed)) = &feed {
            let last = feed.image_input.max(feed.label_input);
            if last > inputs.len() + 1 {
                let given = inputs.len();
                return Err(Error::argument(format!("the data set feeds input {last}, but {given} inputs were given")));
            }
            inputs.resize_with(inputs.len().max(feed.image_input + 1).max(feed.label_input + 1), Bytes::default);
        }
        let measured = if request.profile { &segments[..] } else { &[] };
        let profiles = measured.iter().map(|(p, _)| Profile::new(p.plan.graph.nodes().len())).collect();
        Ok(Job {
            segments,
            profiles,
            inputs,
            buffers: table.buffers.clone(),
            feed,
            fed: 0,
            tables,
            until,
            here: request.here,
            total,
            result: RunResult::default(),
            gpu: gpu.map(OnGpu::new),
            cancel,
            on_progress,
            reported: Instant::now(),
            done: Some(done),
        })
    }

    /// Whether it is one step of so little work that the caller's thread may do it.
    pub(crate) fn is_tiny(&self, executors: &Executors) -> bool {
        let [(prepared, 1)] = &self.segments[..] else { return false };
        self.here
            && prepared.tiny
            && self.feed.is_none()
            && prepared.away(None).next().is_none()
            && Step::new(prepared, &self.inputs).known(&executors.cpu)
    }

    /// Runs one step. True when the job has ended, and its result has been handed over.
    pub(crate) fn advance(&mut self, executors: &mut Executors) -> bool {
        let step = std::panic::AssertUnwindSafe(|| self.step_anywhere(executors));
        // A promise is kept whatever happens: a mistake of ours becomes an error, and the next job runs.
        match std::panic::catch_unwind(step).unwrap_or_else(|cause| Err(panicked(&*cause))) {
            Ok(false) => return false,
            Ok(true) => self.finish(Ok(())),
            Err(error) => self.finish(Err(error)),
        }
        true
    }

    fn step_anywhere(&mut self, executors: &mut Executors) -> Result<bool> {
        let Some(mut gpu) = self.gpu.take() else { return self.step(executors) };
        let ended = gpu.step(self, executors);
        if !matches!(ended, Ok(false)) {
            gpu.end(executors);
        }
        self.gpu = Some(gpu);
        ended
    }

    /// Hands over the result, or the reason why there is none.
    pub(crate) fn finish(&mut self, outcome: Result<()>) {
        self.buffers.give_back(std::mem::take(&mut self.inputs));
        if let Some(done) = self.done.take() {
            done(outcome.map(|()| std::mem::take(&mut self.result)));
        }
    }

    /// One step: all of its states change, or none. True when it was the last.
    fn step(&mut self, executors: &mut Executors) -> Result<bool> {
        let index = self.result.steps;
        let segment = self.segment_of(index);
        let prepared = self.segments[segment].0.clone();
        executors.bring(&prepared, &self.cancel)?;
        let executor = &mut executors.cpu;
        self.gather(&prepared.plan)?;
        let before: Vec<Bytes> = self.tables.iter().map(|(state, _)| state.read().clone()).collect();
        for (state, values) in &self.tables {
            state.write(&values[index].to_le_bytes());
        }
        let step = Step::new(&prepared, &self.inputs);
        if let Err(error) = step.run(executor, &self.cancel, self.profiles.get(segment)) {
            // It holds its states for reading.
            drop(step);
            for ((state, _), value) in self.tables.iter().zip(&before) {
                state.write(value.as_ref());
            }
            return Err(error);
        }
        self.result.steps += 1;
        step.scalars(executor, &mut self.result.scalars);
        let check = self.until.as_ref().filter(|u| self.result.steps.is_multiple_of(u.1));
        let stop =
            self.result.steps == self.total || check.is_some_and(|(state, _)| step.after(executor, state)[0] != 0);
        if stop {
            self.result.outputs = step.outputs(executor)?;
            let measured = self.segments.iter().zip(&self.profiles);
            self.result.profile = measured.map(|((p, _), profile)| p.plan.explain(Some(profile))).collect();
        }
        let changes = step.changes(executor);
        drop(step);
        changes.commit(&prepared, executor);
        self.report(stop, prepared.scalar_outputs.len());
        Ok(stop)
    }

    /// The segment that a step belongs to.
    pub(crate) fn segment_of(&self, step: usize) -> usize {
        let mut end = 0;
        let within = |(_, steps): &(Arc<Prepared>, usize)| {
            end += steps;
            step < end
        };
        self.segments.iter().position(within).unwrap_or_else(|| unreachable!("a job runs no more steps than it has"))
    }

    /// Copies the next samples of the data set into the inputs they feed.
    fn gather(&mut self, plan: &Plan) -> Result<()> {
        let Some((dataset, feed)) = &self.feed else { return Ok(()) };
        let indices = &feed.order[self.fed..self.fed + plan.batch];
        self.fed += plan.batch;
        let mut buffer = |input: usize, bytes: usize| -> Result<Bytes> {
            let mut buffer = std::mem::take(&mut self.inputs[input]);
            if buffer.capacity() == 0 {
                return self.buffers.take(bytes);
            }
            buffer.resize(bytes)?;
            Ok(buffer)
        };
        let mut images = buffer(feed.image_input, plan.batch * dataset.image.bytes())?;
        let mut labels = buffer(feed.label_input, plan.batch * 4)?;
        dataset.gather(indices, images.as_mut(), labels.as_mut());
        self.inputs[feed.image_input] = images;
        self.inputs[feed.label_input] = labels;
        Ok(())
    }

    pub(crate) fn report(&mut self, stop: bool, scalars: usize) {
        let Some(on_progress) = &self.on_progress else { return };
        if stop || self.reported.elapsed() >= PROGRESS_EVERY {
            self.reported = Instant::now();
            let values = &self.result.scalars;
            on_progress(self.result.steps, self.total, &values[values.len() - scalars..]);
        }
    }
}

fn panicked(cause: &(dyn std::any::Any + Send)) -> Error {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    Error::internal(format!("a step panicked: {}", text.unwrap_or("no message")))
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

/// Every input a plan reads is given, with the size it takes.
fn check_inputs(plan: &Plan, inputs: &[Bytes], feed: Option<&(Arc<Dataset>, DatasetFeed)>) -> Result<()> {
    for node in plan.graph.nodes() {
        let Kind::Input { index, .. } = node.kind else { continue };
        let spec = &node.spec;
        if let Some((dataset, feed)) = feed {
            let sample = Spec::new(spec.shape.get(1..).unwrap_or_default(), spec.dtype);
            let fits = match index {
                i if i == feed.image_input => Some(sample == dataset.image),
                i if i == feed.label_input => Some(sample == Spec::new([], DType::I32)),
                _ => None,
            };
            match fits {
                Some(true) if spec.shape.first() == Some(&plan.batch) => continue,
                Some(_) => {
                    return Err(Error::shape(format!(
                        "input {index} is {} of shape {:?}; the data set gives {} images of {} {:?} and i32 labels",
                        spec.dtype, spec.shape, plan.batch, dataset.image.dtype, dataset.image.shape
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
