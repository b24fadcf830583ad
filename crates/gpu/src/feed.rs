//! Feeds the inputs of a plan from a data set that lies on the device.
use tslip_graph::gpu::Program;
use tslip_graph::{DType, Kind, Plan};

use crate::heap::Range;
use crate::lower::{Cost, Dispatch, Job, Place, Word};
use crate::wgsl;

/// Words of the control block of a plan: where the images, the targets and the order of the samples are, the position, the samples
/// that the order names, and those that there are.
pub const CONTROL: usize = 6;
/// Which of them says how many samples earlier steps have taken.
pub const POSITION: usize = 3;

/// The dispatch that copies the next samples into the inputs of a plan: images of `dtype`, and targets, whose elements are words.
pub fn dispatch(plan: &Plan, control: Range, images: usize, targets: usize, dtype: DType) -> Dispatch {
    let program = Program::new("gather samples", include_str!("gather.wgsl"));
    let job = |part: u32, input: usize, dtype: DType| {
        let spec = plan.graph.nodes().iter().find_map(|node| match node.kind {
            Kind::Input { index, .. } if index == input => Some(&node.spec),
            _ => None,
        })?;
        let count = spec.len();
        let plain = |word: usize| Word::Plain(word as u32);
        let words = vec![
            plain(count),
            plain((count / plan.batch).max(1)),
            plain(usize::from(dtype == DType::U8)),
            plain(control.at),
            Word::Plain(part),
            Word::At(Place::Input(input), 0),
        ];
        Some(Job { words, groups: count.div_ceil(program.workgroup as usize) })
    };
    let jobs = [job(0, images, dtype), job(1, targets, DType::I32)].into_iter().flatten().filter(|j| j.groups > 0);
    Dispatch {
        name: program.name.to_string(),
        jobs: jobs.collect(),
        text: wgsl::module(&program),
        cost: Cost::default(),
    }
}
