//! A job that may end early: its words on the device, and what the host knows of its end.
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use tslip_graph::{DType, Plan, Result};
use tslip_lower::ends::{self, Watch};

use crate::device::Device;
use crate::heap::{Heap, Range};
use crate::readback::Flag;
use crate::readbacks::Readbacks;

/// The part of a job that is there because it may end early.
#[derive(Debug)]
pub struct Ending {
    /// Words that say whether it has ended, and the values of its tables.
    control: Range,
    /// The outputs that it keeps, and of which plan they are.
    results: Option<(usize, Range)>,
    /// Steps after which the device was to be looked at.
    flags: VecDeque<Flag>,
    /// The step that ended it, once that is known.
    ended: Option<usize>,
}

impl Ending {
    /// That of a job which has run no step.
    pub fn new(heap: &mut Heap, watch: &Watch) -> Result<Ending> {
        let control = heap.take(ends::CONTROL + watch.tables.len())?;
        heap.write(Range { at: control.at, words: ends::CONTROL }, &[0; 4 * ends::CONTROL]);
        Ok(Ending { control, results: None, flags: VecDeque::new(), ended: None })
    }

    /// Sees to it that there are words for the outputs of a plan, which has a key.
    pub fn hold_results(&mut self, heap: &mut Heap, plan: &Plan, key: usize) -> Result<()> {
        if self.results.is_none_or(|(known, _)| known != key) {
            self.results.take().into_iter().for_each(|(_, range)| heap.give_back(range));
            let words = plan.outputs.iter().map(|&node| plan.graph.spec(node).len()).sum();
            self.results = Some((key, heap.take(words)?));
        }
        Ok(())
    }

    /// The first of the words that say whether it has ended.
    pub fn control(&self) -> usize {
        self.control.at
    }

    /// The word of the value of a table.
    pub fn table(&self, index: usize) -> Range {
        Range { at: self.control.at + ends::CONTROL + index, words: 1 }
    }

    /// The first word of the outputs that it keeps.
    pub fn results(&self) -> usize {
        self.results.map_or_else(|| unreachable!("a job that may end keeps its outputs"), |(_, range)| range.at)
    }

    /// Whether it has ended, after all steps submitted so far.
    pub fn has_ended(
        &mut self,
        device: &Device,
        heap: &Heap,
        readbacks: &mut Readbacks,
        cancel: &AtomicBool,
    ) -> Result<bool> {
        if self.ended.is_none() {
            let word =
                readbacks.read(device, heap, &[(Range { at: self.control.at, words: 1 }, DType::I32)], cancel)?;
            let step = word[0].iter().rev().fold(0, |word, &byte| word << 8 | usize::from(byte));
            self.ended = (step > 0).then_some(step);
        }
        Ok(self.ended.is_some())
    }

    /// Waits for a flag that has been copied after a step.
    pub fn listen(&mut self, device: &Device, mut flag: Flag) {
        flag.listen(device);
        self.flags.push_back(flag);
    }

    /// The step that ended it, as far as it is known of steps after which the device was to be looked at; with `wait` of all.
    pub fn look(
        &mut self,
        device: &Device,
        readbacks: &mut Readbacks,
        wait: bool,
        cancel: &AtomicBool,
    ) -> Result<Option<usize>> {
        if !self.flags.is_empty() {
            device.submissions.look();
        }
        while let Some(flag) = self.flags.front() {
            if wait {
                device.submissions.wait(cancel, |_| flag.is_known())?;
            }
            if !flag.is_known() {
                break;
            }
            let Some(flag) = self.flags.pop_front() else { break };
            let step = flag.take(device)?;
            readbacks.give_back_flag(flag);
            if step > 0 {
                self.ended = Some(step as usize);
                break;
            }
        }
        Ok(self.ended)
    }

    /// Gives back what it has.
    pub fn end(self, heap: &mut Heap, readbacks: &mut Readbacks) {
        heap.give_back(self.control);
        self.results.into_iter().for_each(|(_, range)| heap.give_back(range));
        for flag in self.flags {
            flag.forget();
            readbacks.give_back_flag(flag);
        }
    }
}
