//! What has been submitted to a device, in order, and waiting until it has been carried out.
//!
//! One thread for each device waits for the driver, as two that do at once get in each other's way; whoever needs a result waits
//! for that thread, and can be cancelled.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tslip_graph::{Code, Error, Result};

use crate::counters::Counters;
use crate::fate::Fate;
use crate::lock::locked;

/// How long a wait lasts before cancellation and loss are looked at.
const PATIENCE: Duration = Duration::from_millis(20);

/// A submission: its position among all of its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubmissionId(u64);

/// The queue of what is submitted to a device.
#[derive(Debug)]
pub struct Submissions {
    handle: wgpu::Device,
    queue: wgpu::Queue,
    /// Whether the driver has a watchdog that ends what takes too long.
    watched: bool,
    fate: Arc<Fate>,
    counters: Arc<Counters>,
    end: Mutex<End>,
    completions: Arc<Completions>,
}

/// Where submissions are added.
#[derive(Debug)]
struct End {
    submitted: u64,
    to_waiter: mpsc::Sender<Submission>,
}

#[derive(Debug)]
struct Submission {
    index: wgpu::SubmissionIndex,
    at: Instant,
    operations: u64,
}

/// What has been carried out; whoever waits is told whenever something may have arrived.
#[derive(Debug, Default)]
pub struct Completions {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    finished: u64,
    /// Operations a second of what has been carried out, once something large has.
    rate: Option<f64>,
}

/// Of fewer operations, and of shorter waits, nothing is learned about speed.
const TELLING: u64 = 1 << 24;
const TELLING_WAIT: Duration = Duration::from_millis(1);
/// Operations a second of a small GPU, until something has been measured.
const SMALL_GPU: f64 = 5e11;
/// Seconds that a submission should take at most: watchdogs of drivers give up after two to ten.
const LONGEST: f64 = 0.2;

/// Operations a second after a submission that took so long, and for which the driver was waited so long: where it was done
/// before anybody looked, it says nothing.
fn learned(known: Option<f64>, operations: u64, took: Duration, waited: Duration) -> Option<f64> {
    if operations < TELLING || waited < TELLING_WAIT {
        return known;
    }
    let rate = operations as f64 / took.as_secs_f64();
    Some(known.map_or(rate, |known| 0.5 * (known + rate)))
}

impl Completions {
    /// The progress after it has changed, or after so long.
    fn after<'a>(&self, progress: MutexGuard<'a, Progress>, longest: Duration) -> MutexGuard<'a, Progress> {
        self.changed.wait_timeout(progress, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes all who wait; whatever they wait for must have been written before.
    pub fn notify(&self) {
        drop(locked(&self.progress));
        self.changed.notify_all();
    }
}

impl Submissions {
    /// An empty queue, and the thread that waits for the driver; it ends with the queue. `watched` says whether the driver ends
    /// what takes too long.
    pub fn new(
        handle: wgpu::Device,
        queue: wgpu::Queue,
        watched: bool,
        fate: Arc<Fate>,
        counters: Arc<Counters>,
    ) -> Result<Submissions> {
        let (to_waiter, submissions) = mpsc::channel::<Submission>();
        let completions = Arc::<Completions>::default();
        let (told, of_thread, lost) = (completions.clone(), handle.clone(), fate.clone());
        let thread = std::thread::Builder::new().name("tslip-gpu".into());
        let thread = thread.spawn(move || wait_for_each(&submissions, &of_thread, &lost, &told));
        thread.map_err(|e| Error::internal(format!("no thread could be started to wait for the GPU: {e}")))?;
        let end = Mutex::new(End { submitted: 0, to_waiter });
        Ok(Submissions { handle, queue, watched, fate, counters, end, completions })
    }

    /// What is notified when something has arrived.
    pub fn completions(&self) -> Arc<Completions> {
        self.completions.clone()
    }

    /// Submits commands of about so many operations.
    pub fn submit(&self, commands: wgpu::CommandEncoder, operations: u64) -> SubmissionId {
        let commands = commands.finish();
        let mut end = locked(&self.end);
        let at = Instant::now();
        let index = self.queue.submit([commands]);
        self.counters.submits.add(1);
        end.submitted += 1;
        // The thread ends after the queue.
        let _ = end.to_waiter.send(Submission { index, at, operations });
        SubmissionId(end.submitted)
    }

    /// About how many operations may be submitted at once; any number where no watchdog looks.
    pub fn most_operations(&self) -> Option<u64> {
        let rate = locked(&self.completions.progress).rate.unwrap_or(SMALL_GPU);
        self.watched.then_some((rate * LONGEST) as u64)
    }

    /// Waits until a submission has been carried out; it goes on where the wait is cancelled.
    pub fn wait_for(&self, submission: SubmissionId, cancel: &AtomicBool) -> Result<()> {
        self.wait(cancel, |finished| finished >= submission)
    }

    /// Waits until `done`, which is told of the last submission that was carried out, says so.
    pub fn wait(&self, cancel: &AtomicBool, mut done: impl FnMut(SubmissionId) -> bool) -> Result<()> {
        let mut progress = locked(&self.completions.progress);
        loop {
            if done(SubmissionId(progress.finished)) {
                drop(progress);
                return self.fate.check();
            }
            self.fate.check()?;
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::new(Code::Cancelled, "the run was cancelled"));
            }
            progress = self.completions.after(progress, PATIENCE);
        }
    }

    /// Waits until everything has been carried out, at most until then. A device that was lost, or takes longer, has nothing to be
    /// waited for.
    pub fn settle(&self, until: Instant) {
        let submitted = locked(&self.end).submitted;
        let mut progress = locked(&self.completions.progress);
        while progress.finished < submitted && !self.fate.is_lost() {
            let left = until.saturating_duration_since(Instant::now()).min(PATIENCE);
            if left.is_zero() {
                break;
            }
            progress = self.completions.after(progress, left);
        }
    }

    /// Sees to it that what the device has already done is noticed.
    pub fn look(&self) {
        // wgpu panics where the device is lost meanwhile.
        if catch_unwind(AssertUnwindSafe(|| self.handle.poll(wgpu::PollType::Poll))).is_err() {
            self.fate.lose("the driver gave up a submission");
        }
    }
}

/// Waits for the driver, submission after submission, and tells of each.
fn wait_for_each(
    submissions: &mpsc::Receiver<Submission>,
    handle: &wgpu::Device,
    fate: &Fate,
    completions: &Completions,
) {
    let mut free = Instant::now();
    for Submission { index, at, operations } in submissions {
        let until = wgpu::PollType::Wait { submission_index: Some(index), timeout: None };
        let begun = Instant::now();
        // wgpu panics where the device is lost meanwhile.
        if !matches!(catch_unwind(AssertUnwindSafe(|| handle.poll(until))), Ok(Ok(_))) {
            fate.lose("the driver gave up a submission");
        }
        let (since, waited) = (at.max(free), begun.elapsed());
        free = Instant::now();
        let mut progress = locked(&completions.progress);
        progress.finished += 1;
        progress.rate = learned(progress.rate, operations, free - since, waited);
        drop(progress);
        completions.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_learned_of_large_submissions_that_were_waited_for() {
        let ms = Duration::from_millis;
        let large = 1_000_000_000;
        assert_eq!(learned(None, large, ms(10), ms(10)), Some(1e11));
        assert_eq!(learned(Some(3e11), large, ms(10), ms(8)), Some(2e11));
        // It was done before the thread looked: it may have taken far less than it seems, or far more.
        assert_eq!(learned(Some(3e11), large, Duration::from_micros(2), Duration::from_micros(1)), Some(3e11));
        assert_eq!(learned(None, 1000, ms(10), ms(10)), None);
    }
}
