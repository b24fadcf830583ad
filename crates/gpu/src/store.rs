//! What an engine holds on a device, and the steps it runs there.
//!
//! Nothing waits for the device but what reads from it: a step is encoded and submitted, at most a few at a time.
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use tslip_graph::{DType, Plan, Result, StateId};
use tslip_lower::ends::{self, Watch};
use tslip_lower::{Location, Lowered, Variant, feed, host};

use crate::clock::Clock;
use crate::device::Device;
use crate::executable::Executable;
use crate::heap::{Heap, Range};
use crate::readback::{Flag, Staging};
use crate::residency::resident;
use crate::submissions::SubmissionId;
use crate::task::{Feed, Run, Task, Variation};
use crate::words::widened;

/// Words that a buffer for the scalars of a job has room for.
const SCALARS: usize = 1 << 14;
/// Buffers for reading that are kept for the next time.
pub(crate) const MOST_STAGINGS: usize = 4;
/// Steps that the device may lag behind.
const MOST_IN_FLIGHT: usize = 3;

#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) range: Range,
    pub(crate) version: u64,
    /// Whether the host has this value, too.
    pub(crate) at_home: bool,
    /// The step that used it last.
    pub(crate) used: u64,
    pub(crate) life: Weak<()>,
}

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) range: Range,
    /// The step that used it last.
    pub(crate) used: u64,
    pub(crate) made_from: Option<Vec<(StateId, u64)>>,
}

#[derive(Debug)]
pub(crate) struct Samples {
    pub(crate) images: Range,
    pub(crate) targets: Range,
    pub(crate) life: Weak<()>,
    /// The step that used it last.
    pub(crate) used: u64,
}

/// A plan on the device.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) life: Weak<()>,
    /// With the kept values computed, and with them known.
    pub(crate) programs: [Option<Executable>; 2],
    pub(crate) inputs: HashMap<usize, Range>,
    pub(crate) control: Range,
    /// The job whose inputs it holds.
    pub(crate) loaded: u64,
    /// Which program ran last.
    pub(crate) last: usize,
    /// The inputs that a data set feeds, and of which element type.
    pub(crate) feed: Option<(usize, usize, DType)>,
    /// How a job that runs it may end.
    pub(crate) watch: Option<Watch>,
    /// The run whose words its programs know, if that may end.
    pub(crate) run: Option<u64>,
    pub(crate) kept: Vec<u128>,
}

/// Tensors, plans and data sets of an engine on one device.
#[derive(Debug)]
pub struct Store {
    /// The device.
    pub device: Arc<Device>,
    pub(crate) heap: Heap,
    pub(crate) arena: Range,
    pub(crate) residents: HashMap<StateId, Resident>,
    pub(crate) kept: HashMap<u128, Kept>,
    pub(crate) plans: HashMap<usize, Ready>,
    pub(crate) datasets: HashMap<usize, Samples>,
    /// The last submission of each step that is under way.
    pub(crate) in_flight: VecDeque<SubmissionId>,
    pub(crate) stagings: Vec<Staging>,
    pub(crate) flags: Vec<Flag>,
    /// Grows whenever something gets another place.
    pub(crate) layout: u64,
    pub(crate) runs: u64,
    /// Steps so far, with the one under way.
    pub(crate) steps: u64,
    most_operations: Option<u64>,
}

impl Store {
    /// An empty store on a device.
    pub fn new(device: Arc<Device>) -> Result<Store> {
        let mut heap = Heap::new(device.clone())?;
        let arena = heap.take(0)?;
        Ok(Store {
            device,
            heap,
            arena,
            residents: HashMap::new(),
            kept: HashMap::new(),
            plans: HashMap::new(),
            datasets: HashMap::new(),
            in_flight: VecDeque::new(),
            stagings: Vec::new(),
            flags: Vec::new(),
            layout: 0,
            runs: 0,
            steps: 0,
            most_operations: None,
        })
    }

    /// Submits steps in parts of at most so many operations, rather than as the device's watchdog asks: to test that parts are
    /// as good as a whole.
    pub fn limit_submissions(&mut self, operations: u64) {
        self.most_operations = Some(operations);
    }

    /// Begins a job.
    pub fn begin(&mut self) -> Run {
        self.sweep();
        self.runs += 1;
        Run {
            number: self.runs,
            order: None,
            scalars: None,
            flags: VecDeque::new(),
            control: None,
            results: None,
            ended: None,
            times: Vec::new(),
        }
    }

    /// Ends a job.
    pub fn end(&mut self, run: Run) {
        let own = run.order.into_iter().chain(run.control).chain(run.results.map(|(_, range)| range));
        own.for_each(|range| self.heap.give_back(range));
        // What was copied for a job that ended early belongs to no other.
        self.stagings.extend(run.scalars.map(|mut staging| {
            staging.clear();
            staging
        }));
        self.stagings.truncate(MOST_STAGINGS);
        run.flags.iter().for_each(Flag::forget);
        self.flags.extend(run.flags);
    }

    /// Runs one step of a job: encodes and submits it. Nothing is changed where it fails before that.
    pub fn step<B: AsRef<[u8]>>(
        &mut self,
        run: &mut Run,
        task: Task<'_>,
        inputs: &[B],
        feed: Option<Feed<'_>>,
        variation: Variation<'_>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        self.device.check()?;
        self.wait_for_room(cancel)?;
        self.steps += 1;
        self.hold_states(task.states)?;
        let key = Arc::as_ptr(task.life) as usize;
        let mut ready = match self.plans.remove(&key) {
            Some(ready) => ready,
            None => self.admit(task)?,
        };
        for fingerprint in &ready.kept {
            self.kept.entry(*fingerprint).and_modify(|kept| kept.used = self.steps);
        }
        let step = AssertUnwindSafe(|| self.run(run, &mut ready, task, inputs, feed, variation, cancel));
        let outcome = catch_unwind(step);
        // Whatever happens its words are known.
        self.plans.insert(key, ready);
        outcome.unwrap_or_else(|cause| resume_unwind(cause))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a step")]
    fn run<B: AsRef<[u8]>>(
        &mut self,
        run: &mut Run,
        ready: &mut Ready,
        task: Task<'_>,
        inputs: &[B],
        feed: Option<Feed<'_>>,
        variation: Variation<'_>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let fed = feed.map(|feed| (feed.image_input, feed.target_input, feed.image.dtype));
        let tables = || variation.tables.iter().map(|table| table.0).collect();
        let watch = variation.until.map(|until| Watch { until, tables: tables() });
        if ready.feed != fed || ready.watch != watch {
            (ready.feed, ready.watch, ready.programs) = (fed, watch, [None, None]);
        }
        self.load(run, ready, task.plan, inputs, feed)?;
        let begun = run.control.is_some();
        self.hold_results(run, ready, task)?;
        ready.last = usize::from(self.knows(task.states, &ready.kept, variation.tables));
        if ready.programs[ready.last].is_none() {
            ready.programs[ready.last] = Some(self.compile(ready, task)?);
        }
        // A step that does nothing would leave values unmade that others rely on.
        let makes = ready.last == 0 && !ready.kept.is_empty();
        if begun && makes && self.has_ended(run, cancel)? {
            return Ok(());
        }
        let Some(mut program) = ready.programs[ready.last].take() else { return Ok(()) };
        let room = self.reserve_arena(program.lowered.arena);
        let submitted = room.and_then(|()| self.submit(run, ready, &mut program, task, feed.is_some(), variation));
        ready.programs[ready.last] = Some(program);
        let clock = submitted?;
        // Whatever goes wrong from here on, the device has the new values.
        if ready.last == 0 {
            self.remember(task, &ready.kept);
        }
        for &(state, _) in &task.plan.assigns {
            self.advance(task, state);
        }
        if let Some(clock) = clock {
            run.times = clock.read(&self.device, cancel)?;
        }
        self.device.check()
    }

    /// Sees to it that a job that may end has its own words, and a place for the outputs of the plan.
    fn hold_results(&mut self, run: &mut Run, ready: &mut Ready, task: Task<'_>) -> Result<()> {
        let Some(watch) = &ready.watch else { return Ok(()) };
        if run.control.is_none() {
            let range = self.take(ends::CONTROL + watch.tables.len())?;
            run.control = Some(range);
            self.heap.write(Range { at: range.at, words: ends::CONTROL }, &[0; 4 * ends::CONTROL]);
        }
        let key = Arc::as_ptr(task.life) as usize;
        if run.results.is_none_or(|(plan, _)| plan != key) {
            run.results.take().into_iter().for_each(|(_, range)| self.heap.give_back(range));
            let words = task.plan.outputs.iter().map(|&node| task.plan.graph.spec(node).len()).sum();
            run.results = Some((key, self.take(words)?));
        }
        if ready.run.replace(run.number) != Some(run.number) {
            self.layout += 1;
        }
        Ok(())
    }

    /// Notes that the device holds a newer value of a state than the host.
    fn advance(&mut self, task: Task<'_>, state: StateId) {
        let resident = resident(&mut self.residents, state);
        (resident.version, resident.at_home) = (task.states.advance(state), false);
    }

    /// A plan that is run for the first time.
    fn admit(&mut self, task: Task<'_>) -> Result<Ready> {
        Ok(Ready {
            life: Arc::downgrade(task.life),
            programs: [None, None],
            inputs: HashMap::new(),
            control: self.take(feed::CONTROL)?,
            loaded: 0,
            last: 0,
            feed: None,
            watch: None,
            run: None,
            kept: Vec::new(),
        })
    }

    /// The program for the kept values being known or not, as `ready.last` says.
    fn compile(&mut self, ready: &mut Ready, task: Task<'_>) -> Result<Executable> {
        let plan = task.plan;
        let variant = Variant { known: ready.last == 1, held: ready.watch.is_some() };
        let mut lowered = Lowered::clone(&*task.lowered.of(plan, variant)?);
        if ready.last == 0 {
            let fingerprint = |&index: &usize| plan.graph.node(plan.cached[index].node).fingerprint;
            for index in &lowered.kept {
                let known = self.kept.get_mut(&fingerprint(index)).map(|kept| kept.used = self.steps);
                if known.is_none() {
                    let range = self.take(plan.graph.spec(plan.cached[*index].node).len())?;
                    self.kept.insert(fingerprint(index), Kept { range, made_from: None, used: self.steps });
                }
            }
            ready.kept = lowered.kept.iter().map(fingerprint).collect();
        }
        let gather =
            ready.feed.map(|(images, targets, dtype)| feed::dispatch(plan, ready.control.at, images, targets, dtype));
        let (set, end) = ready.watch.as_ref().map(|watch| (watch.first(), watch.last())).unzip();
        lowered.dispatches.splice(0..0, set.flatten().into_iter().chain(gather));
        lowered.dispatches.extend(end);
        Executable::new(&self.device, lowered)
    }

    /// Sees to it that the arena has so many words.
    fn reserve_arena(&mut self, words: usize) -> Result<()> {
        if self.arena.words < words {
            // The old words first: both together may not fit.
            let old = std::mem::replace(&mut self.arena, Range { at: 0, words: 0 });
            if old.words > 0 {
                self.heap.give_back(old);
            }
            self.arena = self.take(words)?;
        }
        Ok(())
    }

    /// Submits a step. Everything that may fail comes before anything changes.
    fn submit(
        &mut self,
        run: &mut Run,
        ready: &Ready,
        program: &mut Executable,
        task: Task<'_>,
        fed: bool,
        variation: Variation<'_>,
    ) -> Result<Option<Clock>> {
        for &(node, place) in &program.lowered.hosts {
            let at = self.resolve(run, ready, task.plan, place);
            let spec = task.plan.graph.spec(node);
            let value = host::value(task.plan, node)?;
            self.heap.write(Range { at, words: spec.len() }, &widened(&value, spec.dtype));
        }
        let timed = variation.timed && self.device.adapter.timestamps;
        let clock = timed.then(|| Clock::new(&self.device, program.lowered.dispatches.len())).transpose()?;
        if run.scalars.is_none() && !task.scalars.is_empty() {
            run.scalars = Some(self.staging(SCALARS + task.scalars.len())?);
        }
        let flag = match run.control {
            Some(control) if variation.look => {
                Some((self.flags.pop().map_or_else(|| Flag::new(&self.device), Ok)?, control))
            }
            _ => None,
        };
        program.prepare(&self.device, &self.heap, self.layout, |place| self.resolve(run, ready, task.plan, place));
        self.device.check()?;

        for (index, &(state, value)) in variation.tables.iter().enumerate() {
            let range = match run.control {
                Some(control) => Range { at: control.at + ends::CONTROL + index, words: 1 },
                None => resident(&mut self.residents, state).range,
            };
            self.heap.write(range, &value.to_le_bytes());
            self.advance(task, state);
        }
        if fed {
            let position = Range { at: ready.control.at + feed::POSITION, words: 1 };
            self.heap.write(position, &(variation.fed as u32).to_le_bytes());
        }
        let mut encoder = self.device.encoder();
        if let Some(control) = run.control {
            program.gate(&mut encoder, &self.heap, control.at);
        }
        let mut last = 0;
        match &clock {
            Some(clock) => program.encode_timed(&self.device, &mut encoder, clock),
            None => {
                let parts = program.parts(self.most_operations.or_else(|| self.device.submissions.most_operations()));
                for (index, (dispatches, operations)) in parts.into_iter().enumerate() {
                    if index > 0 {
                        let next = self.device.encoder();
                        self.device.submissions.submit(std::mem::replace(&mut encoder, next), last);
                    }
                    program.encode(&self.device, &mut encoder, dispatches);
                    last = operations;
                }
            }
        }
        for &output in task.scalars {
            let (place, offset) = program.lowered.outputs[output];
            let at = self.resolve(run, ready, task.plan, place) + offset;
            if let Some(staging) = &mut run.scalars {
                staging.copy(&mut encoder, &self.heap, at);
            }
        }
        if let Some((flag, control)) = &flag {
            flag.copy(&mut encoder, &self.heap, control.at);
        }
        self.in_flight.push_back(self.device.submissions.submit(encoder, last));
        if let Some((mut flag, _)) = flag {
            flag.listen(&self.device);
            run.flags.push_back(flag);
        }
        Ok(clock)
    }

    /// Waits until the device is at most a few steps behind.
    fn wait_for_room(&mut self, cancel: &AtomicBool) -> Result<()> {
        while self.in_flight.len() >= MOST_IN_FLIGHT {
            self.device.submissions.wait_for(self.in_flight[0], cancel)?;
            self.in_flight.pop_front();
        }
        Ok(())
    }

    /// Words, which get a new place; where there are none, those that can be filled again are given up.
    pub(crate) fn take(&mut self, words: usize) -> Result<Range> {
        self.layout += 1;
        let epoch = self.heap.epoch;
        let mut range = self.heap.take(words);
        if range.is_err() && self.make_room() {
            range = self.heap.take(words);
        }
        if self.heap.epoch != epoch {
            // Bind groups keep the smaller buffer in memory.
            self.plans.values_mut().flat_map(|ready| &mut ready.programs).flatten().for_each(Executable::unbind);
        }
        range
    }

    pub(crate) fn resolve(&self, run: &Run, ready: &Ready, plan: &Plan, location: Location) -> usize {
        let own = |range: Option<Range>| range.map_or_else(|| unreachable!("a job that may end has words"), |r| r.at);
        match location {
            Location::Arena(offset) => self.arena.at + offset,
            Location::Input(index) => ready.inputs[&index].at,
            Location::Control(offset) => own(run.control) + offset,
            Location::Result(offset) => own(run.results.map(|(_, range)| range)) + offset,
            Location::State(id) => self.residents[&id].range.at,
            Location::Kept(index) => self.kept[&plan.graph.node(plan.cached[index].node).fingerprint].range.at,
        }
    }
}
