//! Steps that were submitted and not yet carried out: how many there may be, and in how many parts one is submitted.
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use tslip_graph::Result;

use crate::device::Device;
use crate::executable::Executable;
use crate::submissions::SubmissionId;

/// Steps that the device may lag behind.
const MOST_IN_FLIGHT: usize = 3;

/// Steps under way.
#[derive(Debug, Default)]
pub struct Backlog {
    /// The last submission of each.
    in_flight: VecDeque<SubmissionId>,
    /// Most operations of a submission, where the device's watchdog is not to decide.
    pub most_operations: Option<u64>,
}

impl Backlog {
    /// Waits until the device is at most a few steps behind.
    pub fn wait_for_room(&mut self, device: &Device, cancel: &AtomicBool) -> Result<()> {
        while self.in_flight.len() >= MOST_IN_FLIGHT {
            device.submissions.wait_for(self.in_flight[0], cancel)?;
            self.in_flight.pop_front();
        }
        Ok(())
    }

    /// Adds the dispatches of a step to commands, which are submitted where they become too many; the operations of those that
    /// are not.
    pub fn encode(&self, device: &Device, encoder: &mut wgpu::CommandEncoder, executable: &Executable) -> u64 {
        let mut last = 0;
        let most = self.most_operations.or_else(|| device.submissions.most_operations());
        for (index, (dispatches, operations)) in executable.parts(most).into_iter().enumerate() {
            if index > 0 {
                device.submissions.submit(std::mem::replace(encoder, device.encoder()), last);
            }
            executable.encode(device, encoder, dispatches);
            last = operations;
        }
        last
    }

    /// Submits the rest of a step, of about so many operations.
    pub fn submit(&mut self, device: &Device, encoder: wgpu::CommandEncoder, operations: u64) {
        self.in_flight.push_back(device.submissions.submit(encoder, operations));
    }
}
