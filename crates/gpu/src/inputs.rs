//! The inputs of a plan on a device, and the words that say which samples of a data set feed them.
use std::collections::HashMap;
use tslip_graph::{Kind, Plan, Result};
use tslip_lower::feed;

use crate::datasets::DatasetAt;
use crate::heap::{Heap, Range};
use crate::request::Feed;
use crate::words::widened;

/// Words for the inputs of a plan.
#[derive(Debug)]
pub struct Inputs {
    ranges: HashMap<usize, Range>,
    /// The control block of the kernel that gathers samples.
    control: Range,
    /// The job and the stretch of it whose inputs they hold.
    owner: Option<(u64, usize)>,
}

impl Inputs {
    /// Inputs that hold nothing.
    pub fn new(heap: &mut Heap) -> Result<Inputs> {
        Ok(Inputs { ranges: HashMap::new(), control: heap.take(feed::CONTROL)?, owner: None })
    }

    /// The first word of an input of the step under way.
    pub fn at(&self, index: usize) -> usize {
        self.ranges[&index].at
    }

    /// The first word of the control block.
    pub fn control(&self) -> usize {
        self.control.at
    }

    /// Whether they hold the inputs of a stretch of a job.
    pub fn hold(&self, owner: (u64, usize)) -> bool {
        self.owner == Some(owner)
    }

    /// Brings the inputs of a stretch to the device; those that are fed may be empty.
    pub fn load<B: AsRef<[u8]>>(&mut self, heap: &mut Heap, plan: &Plan, inputs: &[B]) -> Result<()> {
        self.owner = None;
        for node in plan.graph.nodes() {
            let Kind::Input { index, .. } = node.kind else { continue };
            let range = match self.ranges.get(&index) {
                Some(&range) => range,
                None => *self.ranges.entry(index).or_insert(heap.take(node.spec.len())?),
            };
            let bytes = inputs.get(index).map_or(&[][..], |b| b.as_ref());
            if bytes.len() == node.spec.bytes() {
                heap.write(range, &widened(bytes, node.spec.dtype));
            }
        }
        Ok(())
    }

    /// Has samples gathered from a data set, in an order that begins at a word.
    pub fn gather_from(&self, heap: &Heap, feed: &Feed<'_>, dataset: DatasetAt, order: usize) {
        let control = [dataset.images, dataset.targets, order, 0, feed.order.len(), feed.len];
        let bytes: Vec<u8> = control.iter().flat_map(|&at| (at as u32).to_le_bytes()).collect();
        heap.write(Range { at: self.control.at, words: feed::CONTROL }, &bytes);
    }

    /// Says how many samples earlier steps have taken.
    pub fn set_position(&self, heap: &Heap, taken: usize) {
        let position = Range { at: self.control.at + feed::POSITION, words: 1 };
        heap.write(position, &(taken as u32).to_le_bytes());
    }

    /// Notes that they are those of a stretch of a job.
    pub fn are_of(&mut self, owner: (u64, usize)) {
        self.owner = Some(owner);
    }

    /// Gives back the words of the inputs; whether there were any.
    pub fn make_room(&mut self, heap: &mut Heap) -> bool {
        self.owner = None;
        let had = !self.ranges.is_empty();
        self.ranges.drain().for_each(|(_, range)| heap.give_back(range));
        had
    }

    /// Gives back all words.
    pub fn end(&mut self, heap: &mut Heap) {
        self.make_room(heap);
        heap.give_back(self.control);
    }
}
