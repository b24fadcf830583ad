//! The engine: what exists, and the thread that runs jobs.
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tslip_cpu::executor::memory::Bytes;
use tslip_cpu::settings::Settings;
use tslip_gpu::Footprint;
use tslip_graph::plan::{Stage, separate};
use tslip_graph::{Alone, Code, Error, Processes, Result, Spec, StateId};

use crate::compile::{GraphDescription, build, compile};
use crate::dataset::Dataset;
use crate::exact::exact;
use crate::executors::Executors;
use crate::job::Job;
use crate::request::{Done, JobRequest, OnProgress, RunResult};
use crate::state::State;
use crate::step::Prepared;
use crate::table::Table;

/// A compiled plan, as its user sees it.
#[derive(Clone, Debug)]
pub struct PlanInfo {
    /// Its number.
    pub number: u32,
    /// What it returns.
    pub outputs: Vec<Spec>,
}

/// How long an engine waits, when it is stopped, for jobs to be cancelled and for GPUs to finish their steps.
const LONGEST_STOP: Duration = Duration::from_secs(10);
/// How often it looks whether they have.
const LOOK: Duration = Duration::from_millis(1);

/// Runs jobs on a thread of its own; dropping it cancels them.
#[derive(Debug)]
pub struct Engine {
    table: Table,
    processes: Arc<dyn Processes>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Used by whoever has put its job's flag into `Queue::running`.
    executors: Mutex<Executors>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    running: Option<Running>,
    freed: Vec<StateId>,
    closed: bool,
}

/// What is known of the job that is under way.
struct Running {
    cancel: Arc<AtomicBool>,
    writes: Option<Arc<[StateId]>>,
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the environment asks for what this machine cannot follow (see [`Settings`]).
    pub fn new() -> Result<Engine> {
        Engine::among(Arc::new(Alone))
    }

    /// That of one of several processes which train together.
    ///
    /// # Errors
    /// As for [`Engine::new`].
    pub fn among(processes: Arc<dyn Processes>) -> Result<Engine> {
        Settings::checked()?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            executors: Mutex::new(Executors::new(processes.clone())),
        });
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("tslip-engine".into())
            .spawn(move || serve(&of_thread))
            .map_err(|e| Error::internal(format!("the engine's thread could not be started: {e}")))?;
        Ok(Engine { table: Table::default(), processes, shared, thread: Some(thread) })
    }

    /// Makes a state with the given value.
    pub fn create_state(&self, spec: Spec, bytes: &[u8]) -> Result<StateId> {
        Ok(self.table.add_state(State::new(self.table.number(), spec.check()?, bytes)?))
    }

    /// Makes a state of zeros.
    pub fn create_zeroed_state(&self, spec: Spec) -> Result<StateId> {
        Ok(self.table.add_state(State::zeroed(self.table.number(), spec.check()?)?))
    }

    /// Makes a state that has no value before a step has given it one; a job that reads it sooner is an error.
    pub fn create_pending_state(&self, spec: Spec) -> Result<StateId> {
        Ok(self.table.add_state(State::pending(self.table.number(), spec.check()?)?))
    }

    /// Forgets a state; jobs that use it still finish. How many bytes its value takes.
    pub fn free_state(&self, id: StateId) -> usize {
        let Some(state) = self.table.remove_state(id) else { return 0 };
        locked(&self.shared.queue).freed.push(id);
        state.spec.bytes()
    }

    /// A number that grows whenever a state changes.
    pub fn version(&self, id: StateId) -> Result<u64> {
        Ok(self.table.state(id)?.version())
    }

    /// Whether some job that is waiting or under way writes one of these states.
    pub fn writes(&self, states: &[StateId]) -> bool {
        let queue = locked(&self.shared.queue);
        let jobs = queue.waiting.iter().map(|job| &job.writes).chain(queue.running.iter().map(|job| &job.writes));
        jobs.flatten().any(|written| states.iter().any(|id| written.contains(id)))
    }

    /// Takes in a data set.
    pub fn create_dataset(&self, dataset: Dataset) -> u32 {
        self.table.add_dataset(dataset)
    }

    /// Forgets a data set; jobs that use it still finish. How many bytes it takes.
    pub fn free_dataset(&self, id: u32) -> usize {
        self.table.remove_dataset(id).map_or(0, |dataset| dataset.bytes())
    }

    /// Plans a described function. A GPU that is to run it is opened by its first job.
    pub fn compile(&self, description: &GraphDescription) -> Result<PlanInfo> {
        let plan = compile(description, |id| self.table.state(id).ok().map(|s| s.spec.clone()))?;
        let gpu = description.gpu();
        let sums = plan.stages.iter().any(|stage| matches!(stage, Stage::ProcessSums(_)));
        if sums && gpu.is_some() && self.processes.count() > 1 {
            return Err(Error::new(Code::Unsupported, "several processes train on CPUs: use device \"cpu\""));
        }
        let prepared = Prepared::new(plan, gpu, |id| self.table.state(id))?;
        // What cannot run there is told of now, not when it is run.
        prepared.check()?;
        let outputs = prepared.plan.outputs.iter().map(|&n| prepared.plan.graph.spec(n).clone()).collect();
        Ok(PlanInfo { number: self.table.add_plan(prepared), outputs })
    }

    /// For each output of a described function whether its rows are shown to depend on their own sample of the batch alone.
    pub fn separate(&self, description: &GraphDescription) -> Result<Vec<bool>> {
        let (graph, request) = build(description, |id| self.table.state(id).ok().map(|s| s.spec.clone()))?;
        separate(&graph, &request)
    }

    /// A described function in float64 by the plain definitions of its ops, on the caller's thread: slow, for checks.
    pub fn exact(&self, description: &GraphDescription, inputs: &[&[u8]]) -> Result<Vec<Vec<f64>>> {
        exact(description, inputs, |id| self.table.state(id))
    }

    /// Forgets a plan; jobs that use it still finish.
    pub fn free_plan(&self, id: u32) {
        self.table.remove_plan(id);
    }

    /// A plan as text.
    pub fn explain(&self, id: u32) -> Result<String> {
        self.table.plan(id)?.explain()
    }

    /// Floating-point operations of a step of a plan by the name of the op; parameter-only values are left out.
    pub fn flops(&self, id: u32) -> Result<BTreeMap<&'static str, u64>> {
        Ok(self.table.plan(id)?.plan.flops_by_op.clone())
    }

    /// Bytes that a plan takes on its GPU.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where it is one of the CPU.
    pub fn footprint(&self, id: u32) -> Result<Footprint> {
        let prepared = self.table.plan(id)?;
        match prepared.gpu {
            Some(_) => Footprint::of(&prepared.plan, &prepared.lowered, prepared.as_ref()),
            None => Err(Error::argument(format!("plan {id} is one of the CPU: it takes no memory of a GPU"))),
        }
    }

    /// A copy of an input, in memory that earlier jobs have used if there is any.
    pub fn input(&self, bytes: &[u8]) -> Result<Bytes> {
        self.table.buffers.copy_of(bytes)
    }

    /// Queues a job; `done` is called on the engine's thread. A job of one small step is done at once, on the caller's
    /// thread, when no other is waiting or under way.
    pub fn run(
        &self,
        request: JobRequest,
        cancel: Arc<AtomicBool>,
        on_progress: Option<OnProgress>,
        done: Done,
    ) -> Result<()> {
        let job = Job::new(request, &self.table, cancel, on_progress, done)?;
        self.start(job, Job::is_tiny)
    }

    /// Runs a job and waits for it; jobs under way give way after the step they are in. It is done on the caller's thread
    /// when no other is waiting or under way.
    pub fn run_sync(&self, request: JobRequest) -> Result<RunResult> {
        let (send, receive) = mpsc::sync_channel(1);
        let done = Box::new(move |result| {
            // The receiver waits below until this arrives.
            let _ = send.send(result);
        });
        self.start(Job::new(request, &self.table, Arc::default(), None, done)?, |_, _| true)?;
        receive.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Cancels all jobs and waits until none is under way, on a GPU neither. Before a process exits: drivers take themselves
    /// down then, and a thread that still uses them crashes.
    pub fn stop(&self) {
        let until = Instant::now() + LONGEST_STOP;
        let mut queue = locked(&self.shared.queue);
        let waiting = queue.waiting.iter().map(|job| &job.cancel);
        let running = queue.running.iter().map(|job| &job.cancel);
        waiting.chain(running).for_each(|cancel| cancel.store(true, Ordering::Relaxed));
        while (queue.running.is_some() || !queue.waiting.is_empty()) && Instant::now() < until {
            let looked = self.shared.changed.wait_timeout(queue, LOOK);
            queue = looked.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(queue);
        // Held only by a job that does not end.
        if let Ok(executors) = self.shared.executors.try_lock() {
            executors.settle(until);
        }
    }

    /// Runs a job on this thread if nothing else is to be done before it and `here` agrees, else queues it.
    fn start(&self, mut job: Job, here: impl Fn(&Job, &Executors) -> bool) -> Result<()> {
        let mut queue = locked(&self.shared.queue);
        if queue.closed {
            return Err(closed());
        }
        if queue.waiting.is_empty() && queue.running.is_none() {
            let mut executors = locked(&self.shared.executors);
            if here(&job, &executors) {
                let _turn = self.shared.claim(queue, &job, &mut executors);
                while !job.advance(&mut executors) {}
                return Ok(());
            }
        }
        queue.waiting.push_back(job);
        self.shared.changed.notify_one();
        Ok(())
    }
}

/// While it lives a job is under way.
struct Turn<'a>(&'a Shared);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = locked(&self.0.queue);
        queue.running = None;
        // To wake the engine's thread for nothing would cost a small job more than its own work.
        if queue.closed || !queue.waiting.is_empty() {
            self.0.changed.notify_one();
        }
    }
}

impl Shared {
    /// Marks a job as under way; the executors forget what belongs to states that are no more.
    fn claim(&self, mut queue: MutexGuard<'_, Queue>, job: &Job, executors: &mut Executors) -> Turn<'_> {
        queue.freed.drain(..).for_each(|id| executors.forget(id));
        queue.running = Some(Running { cancel: job.cancel.clone(), writes: job.writes.clone() });
        Turn(self)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut queue = locked(&self.shared.queue);
        queue.closed = true;
        if let Some(Running { cancel, .. }) = &queue.running {
            cancel.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_all();
        drop(queue);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
        locked(&self.shared.executors).settle(Instant::now() + LONGEST_STOP);
    }
}

/// The engine's thread: a step of the first job, then of the next, until the engine is dropped.
fn serve(shared: &Shared) {
    loop {
        let mut queue = locked(&shared.queue);
        while (queue.waiting.is_empty() || queue.running.is_some()) && !queue.closed {
            queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(mut job) = queue.waiting.pop_front() else { return };
        if queue.closed {
            drop(queue);
            job.finish(Err(closed()));
            continue;
        }
        let mut executors = locked(&shared.executors);
        let turn = shared.claim(queue, &job, &mut executors);
        let ended = job.advance(&mut executors);
        drop(executors);
        if !ended {
            locked(&shared.queue).waiting.push_back(job);
        }
        drop(turn);
    }
}

fn closed() -> Error {
    Error::new(Code::Cancelled, "the engine was closed while the job was waiting")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
