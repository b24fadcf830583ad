//! Feeds the inputs of a plan from a data set that lies on the device.
use tslip_graph::gpu::Kernel;
use tslip_graph::{DType, Kind, Plan};

use crate::dispatch::{Cost, Dispatch, Grid, Location, Word};
use crate::wgsl;

/// Words of the control block of a plan: where the images, the targets and the order of the samples are, the position, the samples
/// that the order names, and those that there are.
pub const CONTROL: usize = 6;
/// Which of them says how many samples earlier steps have taken.
pub const POSITION: usize = 3;

/// The dispatch that copies the next samples into the inputs of a plan: images of `dtype`, and targets, whose elements are words.
/// The control block begins at word `control` of the heap.
pub fn dispatch(plan: &Plan, control: usize, images: usize, targets: usize, dtype: DType) -> Dispatch {
    let kernel = Kernel::new("gather samples", include_str!("gather.wgsl"));
    let grid = |part: u32, input: usize, dtype: DType| {
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
            plain(control),
            Word::Plain(part),
            Word::At(Location::Input(input), 0),
        ];
        Some(Grid { words, groups: count.div_ceil(kernel.workgroup as usize) })
    };
    let grids =
        [grid(0, images, dtype), grid(1, targets, DType::I32)].into_iter().flatten().filter(|grid| grid.groups > 0);
    Dispatch {
        name: kernel.name.to_string(),
        grids: grids.collect(),
        text: wgsl::module(&kernel),
        cost: Cost::default(),
    }
}
