//! Reductions on a GPU: how results and terms are shared out among invocations.
use tslip_graph::gpu::{Argument, Form, Kernel, Launch, WORKGROUP};
use tslip_graph::spec::strides;
use tslip_graph::{DType, Spec};

use super::axes::Axes;

/// What is done with two elements.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// Added.
    Sum = 0,
    /// The larger stays.
    Max = 1,
    /// The smaller stays.
    Min = 2,
}

/// Terms that an invocation takes at least, and in a split.
const FEWEST: usize = 16;
const SHARE: usize = 64;
/// Terms of a result that one workgroup takes in passing: a second launch would cost more.
const PASSING: usize = 1 << 18;
/// Invocations that keep a large device busy.
const BUSY: usize = 1 << 16;

/// An axis, or some in one: extent and stride.
type Axis = (usize, usize);

/// The kernels that reduce `axes` of `x`.
pub fn form(operation: Operation, axes: &Axes, x: &Spec, output: &Spec) -> Form {
    let (results, integer) = (output.len(), x.dtype == DType::I32);
    if results == 0 {
        return Form::Kernels(Vec::new());
    }
    let dense = strides(&x.shape);
    let list = |reduced: bool| {
        let mut list: Vec<Axis> = Vec::new();
        for axis in (0..x.rank()).filter(|&a| x.shape[a] != 1 && axes.axes.contains(&a) == reduced) {
            match list.last_mut() {
                Some((extent, stride)) if *stride == dense[axis] * x.shape[axis] => {
                    (*extent, *stride) = (*extent * x.shape[axis], dense[axis]);
                }
                _ => list.push((x.shape[axis], dense[axis])),
            }
        }
        list
    };
    let (kept, reduced) = (list(false), list(true));
    let terms: usize = reduced.iter().map(|axis| axis.0).product();
    let lanes = terms.div_ceil(FEWEST).next_power_of_two().min(WORKGROUP as usize);
    let splits = match results * lanes {
        few if few < BUSY && terms > PASSING => terms.div_ceil(lanes * SHARE).clamp(1, BUSY / few),
        _ => 1,
    };
    let kernel = Kernel::new("reduce", include_str!("reduce.wgsl"))
        .constant("OPERATION", operation as u32)
        .constant("INTEGER", u32::from(integer));
    let first = Part { results, terms, lanes, splits, kept: &kept, reduced: &reduced };
    let parts = Argument::Scratch { at: 0, words: splits * results };
    if splits == 1 {
        return Form::Kernels(vec![first.launch(kernel, Argument::Input(0), Argument::Output)]);
    }
    let lanes = splits.div_ceil(FEWEST).next_power_of_two().min(WORKGROUP as usize);
    let (kept, reduced) = ([(results, 1)], [(splits, results)]);
    let second = Part { results, terms: splits, lanes, splits: 1, kept: &kept, reduced: &reduced };
    Form::Kernels(vec![
        first.launch(kernel.clone(), Argument::Input(0), parts),
        second.launch(kernel, parts, Argument::Output),
    ])
}

/// One launch.
struct Part<'a> {
    results: usize,
    terms: usize,
    lanes: usize,
    splits: usize,
    kept: &'a [Axis],
    reduced: &'a [Axis],
}

impl Part<'_> {
    fn launch(&self, kernel: Kernel, from: Argument, to: Argument) -> Launch {
        let share = self.terms.div_ceil(self.splits);
        let neighbours = self.kept.last().is_some_and(|axis| axis.1 == 1);
        let mut words: Vec<Argument> =
            [self.results, self.terms, self.lanes, self.splits, share].map(Argument::size).to_vec();
        words.extend([Argument::size(usize::from(neighbours)), from, to]);
        for list in [self.kept, self.reduced] {
            words.push(Argument::size(list.len()));
            words.extend(list.iter().flat_map(|axis| [axis.0, axis.1]).map(Argument::size));
        }
        let groups = self.splits * self.results.div_ceil(WORKGROUP as usize / self.lanes);
        kernel.launch(groups, words)
    }
}
