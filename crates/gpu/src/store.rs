//! What an engine holds on a device, and the steps it runs there.
//!
//! Nothing waits for the device but what reads from it: a step is encoded and submitted, at most a few at a time.
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use tslip_graph::{DType, Plan, Result, StateId};

use crate::device::Device;
use crate::feed;
use crate::heap::{Heap, Range};
use crate::host;
use crate::line::Ticket;
use crate::lower::{Place, lower};
use crate::program::{Clock, Program};
use crate::readback::{Flag, Staging};
use crate::residency::resident;
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
    pub(crate) labels: Range,
    pub(crate) life: Weak<()>,
    /// The step that used it last.
    pub(crate) used: u64,
}

/// A plan on the device.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) life: Weak<()>,
    /// With the kept values computed, and with them known.
    pub(crate) programs: [Option<Program>; 2],
    pub(crate) inputs: HashMap<usize, Range>,
    pub(crate) control: Range,
    /// The job whose inputs it holds.
    pub(crate) loaded: u64,
    /// Which program ran last.
    pub(crate) last: usize,
    /// The inputs that a data set feeds, and of which element type.
    pub(crate) feed: Option<(usize, usize, DType)>,
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
    pub(crate) in_flight: VecDeque<Ticket>,
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
        Run { number: self.runs, order: None, scalars: None, flags: VecDeque::new(), times: Vec::new() }
    }

    /// Ends a job.
    pub fn end(&mut self, run: Run) {
        run.order.into_iter().for_each(|range| self.heap.give_back(range));
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
        let outcome = self.run(run, &mut ready, task, inputs, feed, variation, cancel);
        self.plans.insert(key, ready);
        outcome
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
        let fed = feed.map(|feed| (feed.image_input, feed.label_input, feed.image.dtype));
        if ready.feed != fed {
            (ready.feed, ready.programs) = (fed, [None, None]);
        }
        self.load(run, ready, task.plan, inputs, feed)?;
        ready.last = usize::from(self.knows(task.states, &ready.kept, variation.tables));
        let mut program = match ready.programs[ready.last].take() {
            Some(program) => program,
            None => self.compile(ready, task.plan)?,
        };
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
            kept: Vec::new(),
        })
    }

    /// The program for the kept values being known or not, as `ready.last` says.
    fn compile(&mut self, ready: &mut Ready, plan: &Plan) -> Result<Program> {
        let lowered = lower(plan, ready.last == 1)?;
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
            ready.feed.map(|(images, labels, dtype)| feed::dispatch(plan, ready.control, images, labels, dtype));
        Program::new(&self.device, lowered, gather)
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
        program: &mut Program,
        task: Task<'_>,
        fed: bool,
        variation: Variation<'_>,
    ) -> Result<Option<Clock>> {
        for &(node, place) in &program.lowered.hosts {
            let at = self.resolve(ready, task.plan, place);
            let spec = task.plan.graph.spec(node);
            let value = host::value(task.plan, node)?;
            self.heap.write(Range { at, words: spec.len() }, &widened(&value, spec.dtype));
        }
        let timed = variation.timed && self.device.adapter.timestamps;
        let clock = timed.then(|| Clock::new(&self.device, program)).transpose()?;
        if run.scalars.is_none() && !task.scalars.is_empty() {
            run.scalars = Some(self.staging(SCALARS + task.scalars.len())?);
        }
        let watched = match variation.until {
            None => None,
            Some(watched) => Some((self.flags.pop().map_or_else(|| Flag::new(&self.device), Ok)?, watched)),
        };
        program.prepare(&self.device, &self.heap, self.layout, |place| self.resolve(ready, task.plan, place));
        self.device.check()?;

        for &(state, value) in variation.tables {
            self.heap.write(resident(&mut self.residents, state).range, &value.to_le_bytes());
            self.advance(task, state);
        }
        if fed {
            let position = Range { at: ready.control.at + feed::POSITION, words: 1 };
            self.heap.write(position, &(variation.fed as u32).to_le_bytes());
        }
        let mut encoder = self.device.handle.create_command_encoder(&Default::default());
        let mut last = 0;
        match &clock {
            Some(clock) => program.encode_timed(&self.device, &mut encoder, clock),
            None => {
                let parts = program.parts(self.most_operations.or_else(|| self.device.most_operations()));
                for (index, (dispatches, operations)) in parts.into_iter().enumerate() {
                    if index > 0 {
                        let next = self.device.handle.create_command_encoder(&Default::default());
                        self.device.submit(std::mem::replace(&mut encoder, next), last);
                    }
                    program.encode(&self.device, &mut encoder, dispatches);
                    last = operations;
                }
            }
        }
        for &output in task.scalars {
            let (place, offset) = program.lowered.outputs[output];
            let at = self.resolve(ready, task.plan, place) + offset;
            if let Some(staging) = &mut run.scalars {
                staging.copy(&mut encoder, &self.heap, at);
            }
        }
        let flag = watched.map(|(mut flag, (state, step))| {
            flag.copy(&mut encoder, &self.heap, step, resident(&mut self.residents, state).range.at);
            flag
        });
        self.in_flight.push_back(self.device.submit(encoder, last));
        if let Some(mut flag) = flag {
            flag.listen(&self.device);
            run.flags.push_back(flag);
        }
        Ok(clock)
    }

    /// Waits until the device is at most a few steps behind.
    fn wait_for_room(&mut self, cancel: &AtomicBool) -> Result<()> {
        while self.in_flight.len() >= MOST_IN_FLIGHT {
            self.device.wait_for(self.in_flight[0], cancel)?;
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
            self.plans.values_mut().flat_map(|ready| &mut ready.programs).flatten().for_each(Program::unbind);
        }
        range
    }

    pub(crate) fn resolve(&self, ready: &Ready, plan: &Plan, place: Place) -> usize {
        match place {
            Place::Arena(offset) => self.arena.at + offset,
            Place::Input(index) => ready.inputs[&index].at,
            Place::State(id) => self.residents[&id].range.at,
            Place::Kept(index) => self.kept[&plan.graph.node(plan.cached[index].node).fingerprint].range.at,
        }
    }
}
