//! The axes that a reduction removes, and how they lie in memory.
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tslip_graph::arrange::inverse;
use tslip_graph::{Arranged, Error, Graph, NodeId, Op, Result};

use crate::emit::Emit;

/// Attributes of reductions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axes {
    /// The axes over which is reduced, each once.
    pub axes: Vec<usize>,
    /// Whether they stay, with extent 1.
    pub keepdims: bool,
}

/// A stretch of merged axes: how many elements along it, and whether it is reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub count: usize,
    pub reduced: bool,
}

impl Axes {
    /// Refuses axes that do not exist or are named twice.
    pub fn check(&self, shape: &[usize]) -> Result<()> {
        for (i, axis) in self.axes.iter().enumerate() {
            if *axis >= shape.len() || self.axes[..i].contains(axis) {
                return Err(Error::argument(format!(
                    "axes {:?} are not axes of shape {shape:?}, each once: they are numbered from 0 to the rank minus 1",
                    self.axes
                )));
            }
        }
        Ok(())
    }

    /// The shape with those axes of extent 1.
    pub fn kept(&self, shape: &[usize]) -> Vec<usize> {
        shape.iter().enumerate().map(|(i, &n)| if self.axes.contains(&i) { 1 } else { n }).collect()
    }

    /// The shape of the result.
    pub fn output(&self, shape: &[usize]) -> Vec<usize> {
        if self.keepdims {
            return self.kept(shape);
        }
        (0..shape.len()).filter(|i| !self.axes.contains(i)).map(|i| shape[i]).collect()
    }

    /// A cotangent of the result, of which each element stands for all that it was reduced from.
    pub fn spread(&self, graph: &mut Graph, cotangent: NodeId, shape: &[usize]) -> Result<NodeId> {
        let kept = graph.reshape(cotangent, &self.kept(shape))?;
        graph.broadcast_to(kept, shape)
    }

    /// The same reduction of an operand whose axes are permuted.
    pub fn permuted(&self, axes: &[usize], op: impl FnOnce(Axes) -> Arc<dyn Op>) -> Arranged {
        let to = inverse(axes);
        let moved = Axes { axes: self.axes.iter().map(|&a| to[a]).collect(), keepdims: self.keepdims };
        let output = if self.keepdims {
            axes.to_vec()
        } else {
            let left: Vec<usize> = (0..axes.len()).filter(|a| !self.axes.contains(a)).collect();
            axes.iter().filter_map(|a| left.iter().position(|l| l == a)).collect()
        };
        let output = (!output.iter().copied().eq(0..output.len())).then_some(output);
        Arranged { op: op(moved), inputs: vec![Some(axes.to_vec())], output }
    }

    /// The axes of a shape, outermost first, neighbours of one kind merged; axes of extent 1 are nothing.
    pub(crate) fn runs(&self, shape: &[usize]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::with_capacity(shape.len());
        for (axis, &count) in shape.iter().enumerate().filter(|&(_, &count)| count != 1) {
            let reduced = self.axes.contains(&axis);
            match runs.last_mut() {
                Some(last) if last.reduced == reduced => last.count *= count,
                _ => runs.push(Run { count, reduced }),
            }
        }
        runs
    }
}

/// Elements of a result whose operand has these runs.
pub(crate) fn results(runs: &[Run]) -> usize {
    runs.iter().filter(|r| !r.reduced).map(|r| r.count).product()
}

/// Elements of an operand with these runs.
pub(crate) fn elements(runs: &[Run]) -> usize {
    runs.iter().map(|r| r.count).product()
}

/// Every way to reduce axes of some shapes, with and without keeping them.
#[cfg(test)]
pub(crate) fn each_case(shapes: &[&[usize]]) -> Vec<(Vec<usize>, Axes)> {
    let mut all = Vec::new();
    for shape in shapes {
        for mask in 0..1_usize << shape.len() {
            let axes: Vec<usize> = (0..shape.len()).filter(|i| mask >> i & 1 == 1).collect();
            for keepdims in [true, false] {
                all.push((shape.to_vec(), Axes { axes: axes.clone(), keepdims }));
            }
        }
    }
    all
}
