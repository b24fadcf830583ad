//! What an engine holds on a device, and the steps it runs there.
//!
//! Nothing waits for the device but what reads from it: a step is encoded and submitted, at most a few at a time.
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tslip_graph::{Code, DType, Error, Result, Spec, StateId};
use tslip_lower::host;

use crate::addresses::Addresses;
use crate::arena::Arena;
use crate::backlog::Backlog;
use crate::clock::Clock;
use crate::datasets::ResidentDatasets;
use crate::device::Device;
use crate::executable::Executable;
use crate::heap::{Heap, Range};
use crate::job::DeviceJob;
use crate::kept::KeptValues;
use crate::plans::{PreparedPlan, PreparedPlans};
use crate::readbacks::Readbacks;
use crate::request::{DevicePlan, Feed, Variation};
use crate::states::ResidentStates;
use crate::words::widened;

/// Tensors, plans and data sets of an engine on one device.
#[derive(Debug)]
pub struct Store {
    /// The device.
    pub device: Arc<Device>,
    heap: Heap,
    arena: Arena,
    states: ResidentStates,
    kept: KeptValues,
    datasets: ResidentDatasets,
    plans: PreparedPlans,
    readbacks: Readbacks,
    backlog: Backlog,
    /// Jobs so far.
    jobs: u64,
    /// Steps so far, with the one under way.
    steps: u64,
}

impl Store {
    /// An empty store on a device.
    pub fn new(device: Arc<Device>) -> Result<Store> {
        Ok(Store {
            heap: Heap::new(device.clone())?,
            device,
            arena: Arena::new(),
            states: ResidentStates::default(),
            kept: KeptValues::default(),
            datasets: ResidentDatasets::default(),
            plans: PreparedPlans::default(),
            readbacks: Readbacks::default(),
            backlog: Backlog::default(),
            jobs: 0,
            steps: 0,
        })
    }

    /// Submits steps in parts of at most so many operations, rather than as the device's watchdog asks: to test that parts are
    /// as good as a whole.
    pub fn limit_submissions(&mut self, operations: u64) {
        self.backlog.most_operations = Some(operations);
    }

    /// Begins a job. What belonged to plans, states and data sets that are no more is let go of first.
    pub fn begin(&mut self) -> DeviceJob {
        self.plans.sweep(&mut self.heap);
        self.states.sweep(&mut self.heap);
        self.datasets.sweep(&mut self.heap);
        self.kept.sweep(&mut self.heap, |fingerprint| self.plans.use_kept(fingerprint));
        self.jobs += 1;
        DeviceJob::new(self.device.clone(), self.jobs)
    }

    /// Ends a job.
    pub fn end(&mut self, job: DeviceJob) {
        // With a device that was lost went all that a job had there.
        if job.is_on(&self.device) {
            job.end(&mut self.heap, &mut self.readbacks);
        }
    }

    /// Runs one step of a job: encodes and submits it. Nothing is changed where it fails before that.
    pub fn step<B: AsRef<[u8]>>(
        &mut self,
        job: &mut DeviceJob,
        plan: DevicePlan<'_>,
        inputs: &[B],
        feed: Option<Feed<'_>>,
        variation: Variation<'_>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        job.check(&self.device)?;
        self.backlog.wait_for_room(&self.device, cancel)?;
        self.steps += 1;
        let epoch = self.heap.epoch;
        self.with_room(|store| store.states.hold(&mut store.heap, plan.states, store.steps))?;
        let mut prepared = match self.plans.take(plan.key()) {
            Some(prepared) => prepared,
            None => self.with_room(|store| PreparedPlan::new(&mut store.heap, plan))?,
        };
        self.kept.touch(&prepared.kept, self.steps);
        let step = AssertUnwindSafe(|| self.run(job, &mut prepared, plan, inputs, feed, variation, cancel));
        let outcome = catch_unwind(step);
        if self.heap.epoch != epoch {
            prepared.unbind();
        }
        // Whatever happens its words are known.
        self.plans.put(plan.key(), prepared);
        outcome.unwrap_or_else(|cause| resume_unwind(cause))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a step")]
    fn run<B: AsRef<[u8]>>(
        &mut self,
        job: &mut DeviceJob,
        prepared: &mut PreparedPlan,
        plan: DevicePlan<'_>,
        inputs: &[B],
        feed: Option<Feed<'_>>,
        variation: Variation<'_>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        prepared.adapt(feed.as_ref(), variation);
        self.with_room(|store| store.load(job, prepared, plan, inputs, feed.as_ref(), variation.stretch))?;
        let begun = job.ending.is_some();
        if let Some(watch) = &prepared.watch {
            self.with_room(|store| job.hold_ending(&mut store.heap, watch, plan.plan, plan.key()))?;
        }
        prepared.known = self.kept.know(&prepared.kept, plan.states, variation.tables);
        if prepared.executable().is_none() {
            let lowered = plan.lowered.of(plan.plan, prepared.variant())?;
            if !prepared.known {
                self.with_room(|store| store.kept.hold(&mut store.heap, plan.plan, &lowered.kept, store.steps))?;
            }
            prepared.compile(&self.device, plan, &lowered)?;
        }
        // A step that does nothing would leave values unmade that others rely on.
        let makes = !prepared.known && !prepared.kept.is_empty();
        if let Some(ending) = job.ending.as_mut().filter(|_| begun && makes)
            && ending.has_ended(&self.device, &self.heap, &mut self.readbacks, cancel)?
        {
            return Ok(());
        }
        let Some(mut executable) = prepared.executable().take() else { return Ok(()) };
        let room = self.with_room(|store| store.arena.reserve(&mut store.heap, executable.lowered.arena));
        let submitted =
            room.and_then(|()| self.submit(job, prepared, &mut executable, plan, feed.is_some(), variation));
        *prepared.executable() = Some(executable);
        let clock = submitted?;
        // Whatever goes wrong from here on, the device has the new values.
        if !prepared.known {
            self.kept.remember(&prepared.kept, plan);
        }
        for assign in &plan.plan.assigns {
            self.states.advance(plan.states, assign.state);
        }
        if let Some(clock) = clock {
            job.times = clock.read(&self.device, cancel)?;
        }
        self.device.check()
    }

    /// Brings the inputs of a stretch of a job to the device, or the data set that feeds them, once.
    fn load<B: AsRef<[u8]>>(
        &mut self,
        job: &mut DeviceJob,
        prepared: &mut PreparedPlan,
        plan: DevicePlan<'_>,
        inputs: &[B],
        feed: Option<&Feed<'_>>,
        stretch: usize,
    ) -> Result<()> {
        let dataset = feed.map(|feed| self.datasets.hold(&mut self.heap, feed, self.steps)).transpose()?;
        let owner = (job.number, stretch);
        if prepared.inputs.hold(owner) {
            return Ok(());
        }
        prepared.inputs.load(&mut self.heap, plan.plan, inputs)?;
        if let (Some(feed), Some(dataset)) = (feed, dataset) {
            let order = job.hold_order(&mut self.heap, feed.order)?;
            prepared.inputs.gather_from(&self.heap, feed, dataset, order);
        }
        prepared.inputs.are_of(owner);
        Ok(())
    }

    /// Submits a step. Everything that may fail comes before anything changes.
    fn submit(
        &mut self,
        job: &mut DeviceJob,
        prepared: &PreparedPlan,
        executable: &mut Executable,
        plan: DevicePlan<'_>,
        fed: bool,
        variation: Variation<'_>,
    ) -> Result<Option<Clock>> {
        let timed = variation.timed && self.device.adapter.timestamps;
        let clock = timed.then(|| Clock::new(&self.device, executable.lowered.dispatches.len())).transpose()?;
        job.hold_scalars(&self.device, &mut self.readbacks, plan.scalars.len())?;
        let looked_at = variation.look && job.ending.is_some();
        let flag = looked_at.then(|| self.readbacks.flag(&self.device)).transpose()?;
        let addresses = self.addresses(job, prepared, plan);
        for &(node, location) in &executable.lowered.hosts {
            let spec = plan.plan.graph.spec(node);
            let value = host::value(plan.plan, node)?;
            let range = Range { at: addresses.of(location), words: spec.len() };
            self.heap.write(range, &widened(&value, spec.dtype));
        }
        // Only of a job that may end are there words that no other job's steps reach.
        let owner = job.ending.as_ref().map_or(0, |_| job.number);
        executable.prepare(&self.device, &self.heap, owner, |location| addresses.of(location));
        let outputs = &executable.lowered.outputs;
        let scalars: Vec<usize> =
            plan.scalars.iter().map(|&output| addresses.of(outputs[output].0) + outputs[output].1).collect();
        self.device.check()?;

        for (index, &(state, value)) in variation.tables.iter().enumerate() {
            let of_state = || Range { at: self.states.at(state), words: 1 };
            let range = job.ending.as_ref().map_or_else(of_state, |ending| ending.table(index));
            self.heap.write(range, &value.to_le_bytes());
            self.states.advance(plan.states, state);
        }
        if fed {
            prepared.inputs.set_position(&self.heap, variation.fed);
        }
        let mut encoder = self.device.encoder();
        if let Some(ending) = &job.ending {
            executable.gate(&mut encoder, &self.heap, ending.control());
        }
        let operations = match &clock {
            Some(clock) => {
                executable.encode_timed(&self.device, &mut encoder, clock);
                0
            }
            None => self.backlog.encode(&self.device, &mut encoder, executable),
        };
        job.copy_scalars(&mut encoder, &self.heap, &scalars);
        if let (Some(flag), Some(ending)) = (&flag, &job.ending) {
            flag.copy(&mut encoder, &self.heap, ending.control());
        }
        self.backlog.submit(&self.device, encoder, operations);
        if let (Some(flag), Some(ending)) = (flag, &mut job.ending) {
            ending.listen(&self.device, flag);
        }
        Ok(clock)
    }

    fn addresses<'a>(&'a self, job: &'a DeviceJob, prepared: &'a PreparedPlan, plan: DevicePlan<'a>) -> Addresses<'a> {
        Addresses {
            plan: plan.plan,
            arena: &self.arena,
            inputs: &prepared.inputs,
            states: &self.states,
            kept: &self.kept,
            ending: job.ending.as_ref(),
        }
    }

    /// What ran in the last step of a plan, with the milliseconds of a step that was timed.
    pub fn explain(&self, plan: DevicePlan<'_>, times: &[f64]) -> String {
        let lowered = self.plans.get(plan.key()).and_then(PreparedPlan::lowered);
        lowered.map(|lowered| lowered.explain(plan.plan, times)).unwrap_or_default()
    }

    /// The values of the outputs of the plan that a job has run last; those of the step that ended it, where one has.
    pub fn outputs(&mut self, job: &DeviceJob, plan: DevicePlan<'_>, cancel: &AtomicBool) -> Result<Vec<Vec<u8>>> {
        job.check(&self.device)?;
        let prepared = self.plans.get(plan.key());
        let Some((prepared, lowered)) = prepared.and_then(|prepared| Some((prepared, prepared.lowered()?))) else {
            return Err(Error::internal("a plan that was not run has no outputs"));
        };
        let addresses = self.addresses(job, prepared, plan);
        let specs = plan.plan.outputs.iter().map(|&node| plan.plan.graph.spec(node));
        let wanted: Vec<(Range, DType)> = (lowered.outputs.iter().zip(specs))
            .map(|(&(location, offset), spec)| {
                (Range { at: addresses.of(location) + offset, words: spec.len() }, spec.dtype)
            })
            .collect();
        self.readbacks.read(&self.device, &self.heap, &wanted, cancel)
    }

    /// The value of a state that the device holds, for the host to keep.
    pub fn state(&mut self, id: StateId, spec: &Spec, cancel: &AtomicBool) -> Result<Vec<u8>> {
        let wanted = [(self.states.value(id, spec)?, spec.dtype)];
        let value = self.readbacks.read(&self.device, &self.heap, &wanted, cancel)?.pop().unwrap_or_default();
        self.states.came_home(id);
        Ok(value)
    }

    /// The scalars of the steps since they were read last.
    pub fn scalars(&mut self, job: &mut DeviceJob, cancel: &AtomicBool) -> Result<Vec<f32>> {
        job.check(&self.device)?;
        job.take_scalars(&self.device, cancel)
    }

    /// The step that ended a job, as far as it is known of steps after which the device was to be looked at; with `wait` of all.
    pub fn stopped(&mut self, job: &mut DeviceJob, wait: bool, cancel: &AtomicBool) -> Result<Option<usize>> {
        job.check(&self.device)?;
        let ending = job.ending.as_mut();
        ending.map_or(Ok(None), |ending| ending.look(&self.device, &mut self.readbacks, wait, cancel))
    }

    /// Waits until the device has carried out what was submitted to it, at most until then.
    pub fn settle(&self, until: Instant) {
        self.device.submissions.settle(until);
    }

    /// Does what takes words. Where there are none, those that can be filled again are given up, and it is done again.
    fn with_room<T>(&mut self, mut take: impl FnMut(&mut Store) -> Result<T>) -> Result<T> {
        let epoch = self.heap.epoch;
        let taken = loop {
            match take(self) {
                Err(error) if error.code == Code::OutOfMemory && self.make_room() => {}
                taken => break taken,
            }
        };
        if self.heap.epoch != epoch {
            // Bind groups keep the smaller buffer in memory.
            self.plans.unbind();
        }
        taken
    }

    /// Gives back the words of all that can be brought again and that the step under way does not use: inputs and kept values of
    /// other plans, data sets, states of which the host has the value, and the arena. Whether there were any.
    fn make_room(&mut self) -> bool {
        let (heap, step) = (&mut self.heap, self.steps);
        let found = [
            self.states.make_room(heap, step),
            self.kept.make_room(heap, step),
            self.datasets.make_room(heap, step),
            self.plans.make_room(heap),
            self.arena.give_up(heap),
        ];
        self.plans.forget_lost(&self.kept);
        found.contains(&true)
    }
}
