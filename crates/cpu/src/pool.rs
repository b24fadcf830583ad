//! One thread pool for the process: tasks are claimed one by one, the caller works too.
//!
//! While tasks run, subnormal numbers are zero on every thread that runs them (see [`flush_to_zero`]).
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::settings::Settings;
use crate::simd::flush_to_zero;

type Body<'a> = &'a (dyn Fn(usize, usize) + Sync + 'a);

/// How often an idle thread looks for work before it sleeps: some 20 to 50 microseconds, the gap between two stages of
/// a plan, where waking a thread takes as long.
const SPINS: usize = 2_000;

/// The pool; see [`pool`].
#[derive(Debug)]
pub struct Pool {
    workers: usize,
    /// Held by the caller whose tasks are being run.
    turn: Mutex<()>,
    board: Mutex<Board>,
    posted: Condvar,
    finished: Condvar,
    claimed: AtomicUsize,
    /// The board's generation and whether workers are inside, for those who spin.
    generation: AtomicU64,
    busy: AtomicBool,
}

#[derive(Debug, Default)]
struct Board {
    generation: u64,
    tasks: usize,
    /// The body of the tasks at hand, with its lifetime taken off; only called before `run` returns.
    body: Option<Erased>,
    active: usize,
    failure: Option<String>,
}

#[derive(Clone, Copy)]
struct Erased(*const (dyn Fn(usize, usize) + Sync));

impl std::fmt::Debug for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Erased")
    }
}

// SAFETY: the function behind the pointer is `Sync`, so that any thread may call it by reference; sending the pointer does
// nothing else. When it may be followed is said where it is.
unsafe impl Send for Erased {}

thread_local! {
    /// The worker index under which this thread runs a task at the moment.
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The pool of this process: as many workers as the machine (or `TSLIP_THREADS`) gives.
pub fn pool() -> &'static Pool {
    static POOL: OnceLock<&'static Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::start(Settings::current().threads))
}

impl Pool {
    fn start(workers: usize) -> &'static Pool {
        let pool: &'static Pool = Box::leak(Box::new(Pool {
            workers,
            turn: Mutex::default(),
            board: Mutex::default(),
            posted: Condvar::new(),
            finished: Condvar::new(),
            claimed: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            busy: AtomicBool::new(false),
        }));
        for index in 1..workers {
            // A thread that cannot be started is one worker less: the others claim its tasks.
            let _ = std::thread::Builder::new().name(format!("tslip-{index}")).spawn(move || pool.work(index));
        }
        pool
    }

    /// How many workers there are, the caller included; worker indices are smaller.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Runs `body(task, worker)` for every task. One worker runs at most one task of a call at a time; a call with one
    /// task, or from inside a task, runs on the calling thread alone. Calls from several threads take turns.
    ///
    /// # Errors
    /// The message of a panic in a task; the other tasks are still run.
    pub fn run(&self, tasks: usize, body: Body<'_>) -> Result<(), String> {
        let _mode = flush_to_zero();
        let inside = WORKER.get();
        if tasks <= 1 || self.workers == 1 || inside.is_some() {
            return alone(tasks, body, inside.unwrap_or(0));
        }
        let _turn = locked(&self.turn);
        self.claimed.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime is taken off. The body is called by workers that found it on the board, and by none once this
        // function has returned: it is taken off the board below, and those who are `active` by then are waited for. Nothing in
        // between unwinds: `claim` calls what is `guarded`, and locks that a panic has poisoned are taken all the same.
        let erased = Erased(unsafe { std::mem::transmute::<Body<'_>, Body<'static>>(body) });
        {
            let mut board = locked(&self.board);
            board.generation += 1;
            board.tasks = tasks;
            board.body = Some(erased);
            board.failure = None;
            self.generation.store(board.generation, Ordering::Release);
        }
        self.posted.notify_all();
        let failure = self.claim(tasks, body, 0);
        let mut board = locked(&self.board);
        // No worker enters from here on; those inside are waited for, since they still hold the body.
        board.body = None;
        if board.active > 0 {
            drop(board);
            spin(|| !self.busy.load(Ordering::Acquire));
            board = locked(&self.board);
        }
        while board.active > 0 {
            board = self.finished.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
        match failure.or_else(|| board.failure.take()) {
            Some(message) => Err(message),
            None => Ok(()),
        }
    }

    fn work(&self, index: usize) {
        let _mode = flush_to_zero();
        let mut seen = 0;
        loop {
            spin(|| self.generation.load(Ordering::Acquire) != seen);
            let mut board = locked(&self.board);
            while board.generation == seen || board.body.is_none() {
                seen = board.generation;
                board = self.posted.wait(board).unwrap_or_else(PoisonError::into_inner);
            }
            seen = board.generation;
            let (Some(body), tasks) = (board.body, board.tasks) else { continue };
            board.active += 1;
            self.busy.store(true, Ordering::Release);
            drop(board);
            // SAFETY: `active` was raised under the lock under which the body was found on the board; from then on `run`, to
            // which the body is lent, does not return before it is back to zero, which it is after this call alone.
            let failure = self.claim(tasks, unsafe { &*body.0 }, index);
            let mut board = locked(&self.board);
            board.active -= 1;
            board.failure = board.failure.take().or(failure);
            if board.active == 0 {
                self.busy.store(false, Ordering::Release);
                self.finished.notify_one();
            }
        }
    }

    fn claim(&self, tasks: usize, body: Body<'_>, worker: usize) -> Option<String> {
        let mut failure = None;
        loop {
            let task = self.claimed.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return failure;
            }
            if let Err(message) = guarded(body, task, worker) {
                failure.get_or_insert(message);
            }
        }
    }
}

/// All tasks one after another on this thread.
fn alone(tasks: usize, body: Body<'_>, worker: usize) -> Result<(), String> {
    let failures = (0..tasks).filter_map(|task| guarded(body, task, worker).err()).collect::<Vec<_>>();
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Waits for `done` for a short while.
fn spin(done: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
}

/// Runs a task. Does not unwind, whatever the task does.
fn guarded(body: Body<'_>, task: usize, worker: usize) -> Result<(), String> {
    let outer = WORKER.replace(Some(worker));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(task, worker)));
    WORKER.set(outer);
    result.map_err(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|s| s.to_string()));
        // What was thrown may throw again as it is dropped; what comes of that is left where it is.
        if let Err(again) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(cause))) {
            std::mem::forget(again);
        }
        text.unwrap_or_else(|| "no message".into())
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
