//! The words in which steps compute.
use tslip_graph::Result;

use crate::heap::{Heap, Range};

/// Words that all plans of a store have in common, one step after another.
#[derive(Debug)]
pub struct Arena(Option<Range>);

impl Arena {
    /// An arena of no words.
    pub fn new() -> Arena {
        Arena(None)
    }

    /// Its first word.
    pub fn at(&self) -> usize {
        self.0.map_or(0, |range| range.at)
    }

    /// Sees to it that it has so many words.
    pub fn reserve(&mut self, heap: &mut Heap, words: usize) -> Result<()> {
        if self.0.is_none_or(|range| range.words < words) {
            // The old words first: both together may not fit.
            self.give_up(heap);
            self.0 = Some(heap.take(words)?);
        }
        Ok(())
    }

    /// Gives back its words; whether it had any.
    pub fn give_up(&mut self, heap: &mut Heap) -> bool {
        let had = self.0.take();
        had.into_iter().for_each(|range| heap.give_back(range));
        had.is_some()
    }
}
