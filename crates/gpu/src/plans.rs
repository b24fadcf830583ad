//! Plans that a device has run, with what it takes to run them again.
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tslip_graph::{DType, Result};
use tslip_lower::ends::Watch;
use tslip_lower::{Lowered, Variant, feed};

use crate::device::Device;
use crate::executable::Executable;
use crate::heap::Heap;
use crate::inputs::Inputs;
use crate::kept::{KeptValues, fingerprint};
use crate::request::{DevicePlan, Feed, Variation};

/// A plan on a device.
#[derive(Debug)]
pub struct PreparedPlan {
    life: Weak<()>,
    /// Its inputs.
    pub inputs: Inputs,
    /// How a job that runs it may end.
    pub watch: Option<Watch>,
    /// Fingerprints of its parameter-only values that are kept.
    pub kept: Vec<u128>,
    /// Whether the kept values were known in the last step.
    pub known: bool,
    /// With the kept values computed, and with them known.
    executables: [Option<Executable>; 2],
    /// The inputs that a data set feeds, and of which element type.
    fed: Option<(usize, usize, DType)>,
}

impl PreparedPlan {
    /// Lets go of the heap's buffer.
    pub fn unbind(&mut self) {
        self.executables.iter_mut().flatten().for_each(Executable::unbind);
    }

    /// A plan that is run for the first time.
    pub fn new(heap: &mut Heap, plan: DevicePlan<'_>) -> Result<PreparedPlan> {
        Ok(PreparedPlan {
            life: Arc::downgrade(plan.life),
            inputs: Inputs::new(heap)?,
            watch: None,
            kept: Vec::new(),
            known: false,
            executables: [None, None],
            fed: None,
        })
    }

    /// Drops what was made for steps that are fed otherwise, or end otherwise.
    pub fn adapt(&mut self, feed: Option<&Feed<'_>>, variation: Variation<'_>) {
        let fed = feed.map(|feed| (feed.image_input, feed.target_input, feed.image.dtype));
        let tables = || variation.tables.iter().map(|table| table.0).collect();
        let watch = variation.until.map(|until| Watch { until, tables: tables() });
        if self.fed != fed || self.watch != watch {
            (self.fed, self.watch, self.executables) = (fed, watch, [None, None]);
        }
    }

    /// What runs it as it ran last, or is to be run now.
    pub fn executable(&mut self) -> &mut Option<Executable> {
        &mut self.executables[usize::from(self.known)]
    }

    /// What it was lowered to as it ran last.
    pub fn lowered(&self) -> Option<&Lowered> {
        self.executables[usize::from(self.known)].as_ref().map(|executable| &executable.lowered)
    }

    /// What it is lowered for.
    pub fn variant(&self) -> Variant {
        Variant { known: self.known, held: self.watch.is_some() }
    }

    /// Compiles what runs it: what it was lowered to, between what feeds a step and what may end the job.
    pub fn compile(&mut self, device: &Device, plan: DevicePlan<'_>, lowered: &Lowered) -> Result<()> {
        let mut lowered = lowered.clone();
        if !self.known {
            self.kept = lowered.kept.iter().map(|&index| fingerprint(plan.plan, index)).collect();
        }
        let gather = self
            .fed
            .map(|(images, targets, dtype)| feed::dispatch(plan.plan, self.inputs.control(), images, targets, dtype));
        let (set, end) = self.watch.as_ref().map(|watch| (watch.first(), watch.last())).unzip();
        lowered.dispatches.splice(0..0, set.flatten().into_iter().chain(gather));
        lowered.dispatches.extend(end);
        *self.executable() = Some(Executable::new(device, lowered)?);
        Ok(())
    }
}

/// Plans that a device has run, by their keys; that of the step under way is not among them.
#[derive(Debug, Default)]
pub struct PreparedPlans(HashMap<usize, PreparedPlan>);

impl PreparedPlans {
    /// A plan that has been run.
    pub fn get(&self, key: usize) -> Option<&PreparedPlan> {
        self.0.get(&key)
    }

    /// Takes out a plan for a step.
    pub fn take(&mut self, key: usize) -> Option<PreparedPlan> {
        self.0.remove(&key)
    }

    /// Puts a plan back after a step.
    pub fn put(&mut self, key: usize, prepared: PreparedPlan) {
        self.0.insert(key, prepared);
    }

    /// Lets go of the heap's buffer.
    pub fn unbind(&mut self) {
        self.0.values_mut().for_each(PreparedPlan::unbind);
    }

    /// Gives back the words of inputs; whether there were any.
    pub fn make_room(&mut self, heap: &mut Heap) -> bool {
        let gave: Vec<bool> = self.0.values_mut().map(|prepared| prepared.inputs.make_room(heap)).collect();
        gave.contains(&true)
    }

    /// Drops what was made for kept values that are there no more.
    pub fn forget_lost(&mut self, kept: &KeptValues) {
        for prepared in self.0.values_mut().filter(|prepared| !kept.have(&prepared.kept)) {
            prepared.kept.clear();
            prepared.executables = [None, None];
        }
    }

    /// Gives back the words of plans that are no more.
    pub fn sweep(&mut self, heap: &mut Heap) {
        self.0.retain(|_, prepared| {
            let alive = prepared.life.strong_count() > 0;
            if !alive {
                prepared.inputs.end(heap);
            }
            alive
        });
    }

    /// Whether a plan uses a kept value.
    pub fn use_kept(&self, fingerprint: u128) -> bool {
        self.0.values().any(|prepared| prepared.kept.contains(&fingerprint))
    }
}
