//! Data sets that lie on a device.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use tslip_graph::Result;

use crate::heap::{Heap, Range};
use crate::request::Feed;

/// Data sets on a device, by the address of what ends with them.
#[derive(Debug, Default)]
pub struct ResidentDatasets(HashMap<usize, ResidentDataset>);

#[derive(Debug)]
struct ResidentDataset {
    images: Range,
    targets: Range,
    life: Weak<()>,
    /// The step that used it last.
    used: u64,
}

/// Where a data set lies.
#[derive(Clone, Copy, Debug)]
pub struct DatasetAt {
    /// The first word of its images.
    pub images: usize,
    /// The first word of its targets.
    pub targets: usize,
}

impl ResidentDatasets {
    /// Sees to it that the device holds a data set, which is uploaded once.
    pub fn hold(&mut self, heap: &mut Heap, feed: &Feed<'_>, step: u64) -> Result<DatasetAt> {
        let key = Arc::as_ptr(feed.life) as usize;
        let dataset = match self.0.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let images = heap.upload(feed.images)?;
                let targets = heap.upload(feed.targets).inspect_err(|_| heap.give_back(images))?;
                unknown.insert(ResidentDataset { images, targets, life: Arc::downgrade(feed.life), used: step })
            }
        };
        dataset.used = step;
        Ok(DatasetAt { images: dataset.images.at, targets: dataset.targets.at })
    }

    /// Gives back the words of data sets that a step does not use; whether there were any.
    pub fn make_room(&mut self, heap: &mut Heap, step: u64) -> bool {
        self.keep(heap, |dataset| dataset.used == step)
    }

    /// Gives back the words of data sets that are no more.
    pub fn sweep(&mut self, heap: &mut Heap) {
        self.keep(heap, |dataset| dataset.life.strong_count() > 0);
    }

    fn keep(&mut self, heap: &mut Heap, which: impl Fn(&ResidentDataset) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|_, dataset| heap.keep_if(which(dataset), &[dataset.images, dataset.targets]));
        self.0.len() < before
    }
}
