//! A job on a device.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tslip_graph::{Error, Plan, Result};
use tslip_lower::ends::Watch;

use crate::device::Device;
use crate::ending::Ending;
use crate::heap::{Heap, Range};
use crate::readback::Staging;
use crate::readbacks::Readbacks;

/// So many scalars of a job, and those of one step more, may wait to be read.
pub const SCALARS: usize = 1 << 14;

/// A job on the device.
#[derive(Debug)]
pub struct DeviceJob {
    /// On which it began. What it has lies there, and means nothing on one that is opened when that is lost.
    device: Arc<Device>,
    /// It counts the jobs of a store, from 1.
    pub(crate) number: u64,
    /// None where it may not end early, or has run no step.
    pub(crate) ending: Option<Ending>,
    /// Samples of a data set in the order in which steps take them.
    order: Option<Range>,
    /// Where scalars of steps wait to be read.
    scalars: Option<Staging>,
    /// Milliseconds of each dispatch of the step that was timed last.
    pub times: Vec<f64>,
}

impl DeviceJob {
    /// A job that has run no step.
    pub(crate) fn new(device: Arc<Device>, number: u64) -> DeviceJob {
        DeviceJob { device, number, ending: None, order: None, scalars: None, times: Vec::new() }
    }

    /// Whether it began on a device.
    pub(crate) fn is_on(&self, device: &Arc<Device>) -> bool {
        Arc::ptr_eq(&self.device, device)
    }

    /// That its device was lost, if it was.
    pub fn lost(&self) -> Option<Error> {
        self.device.check().err()
    }

    /// Refuses a job that began on another device, which was lost.
    pub(crate) fn check(&self, device: &Arc<Device>) -> Result<()> {
        self.device.check()?;
        if self.is_on(device) { Ok(()) } else { Err(Error::internal("a job goes on where it began")) }
    }

    /// The first word of the order of its samples, which is uploaded once.
    pub(crate) fn hold_order(&mut self, heap: &mut Heap, order: &[u32]) -> Result<usize> {
        let range = match self.order {
            Some(range) => range,
            None => {
                let bytes: Vec<u8> = order.iter().flat_map(|index| index.to_le_bytes()).collect();
                *self.order.insert(heap.upload(&bytes)?)
            }
        };
        Ok(range.at)
    }

    /// Sees to it that a job which may end has its own words, and room for the outputs of a plan, which has a key.
    pub(crate) fn hold_ending(&mut self, heap: &mut Heap, watch: &Watch, plan: &Plan, key: usize) -> Result<()> {
        let ending = match &mut self.ending {
            Some(ending) => ending,
            None => self.ending.insert(Ending::new(heap, watch)?),
        };
        ending.hold_results(heap, plan, key)
    }

    /// Sees to it that there is room for so many scalars of a step.
    pub(crate) fn hold_scalars(&mut self, device: &Device, readbacks: &mut Readbacks, count: usize) -> Result<()> {
        if self.scalars.is_none() && count > 0 {
            self.scalars = Some(readbacks.staging(device, SCALARS + count)?);
        }
        Ok(())
    }

    /// Copies the scalars of a step, which are at these words.
    pub(crate) fn copy_scalars(&mut self, encoder: &mut wgpu::CommandEncoder, heap: &Heap, words: &[usize]) {
        if let Some(staging) = &mut self.scalars {
            words.iter().for_each(|&at| staging.copy(encoder, heap, at));
        }
    }

    /// The scalars of the steps since they were read last.
    pub(crate) fn take_scalars(&mut self, device: &Device, cancel: &AtomicBool) -> Result<Vec<f32>> {
        self.scalars.as_mut().map_or(Ok(Vec::new()), |staging| staging.take(device, cancel))
    }

    /// Gives back what it has.
    pub(crate) fn end(self, heap: &mut Heap, readbacks: &mut Readbacks) {
        self.order.into_iter().for_each(|range| heap.give_back(range));
        // What was copied for a job that ended early belongs to no other.
        self.scalars.into_iter().for_each(|staging| readbacks.give_back(staging));
        self.ending.into_iter().for_each(|ending| ending.end(heap, readbacks));
    }
}
