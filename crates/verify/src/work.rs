//! How much there is to do, how much is done, and whether somebody wants it to end.
use std::cell::Cell;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Work that is measured in operations of float64.
pub struct Work<'a> {
    total: Cell<f64>,
    done: Cell<f64>,
    told: Cell<f64>,
    report: &'a dyn Fn(f64) -> bool,
}

/// Parts of the whole between two reports.
const PACE: f64 = 1e-3;
/// Operations after which it is asked whether to go on, whatever part of the whole they are.
const PATIENCE: f64 = 1e7;

impl<'a> Work<'a> {
    /// `report` is told which part of the work is done, from 0 to 1, and says whether to go on.
    pub fn new(report: &'a dyn Fn(f64) -> bool) -> Self {
        Work { total: Cell::new(0.0), done: Cell::new(0.0), told: Cell::new(0.0), report }
    }

    /// More to do than was known.
    pub(crate) fn expect(&self, operations: f64) {
        self.total.set(self.total.get() + operations);
    }

    /// So much has been done since the last call.
    pub(crate) fn did(&self, operations: f64) -> Result<(), Stopped> {
        let done = self.done.get() + operations;
        self.done.set(done);
        let since = done - self.told.get();
        if since < PATIENCE && since < PACE * self.total.get() {
            return Ok(());
        }
        self.told.set(done);
        if (self.report)((done / self.total.get().max(done)).min(1.0)) { Ok(()) } else { Err(Stopped) }
    }
}
