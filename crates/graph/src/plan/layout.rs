//! What a plan consists of: stages in order, the pieces of segments, and where values are.
use std::collections::BTreeMap;

use super::count;
use crate::graph::{Graph, NodeId, StateId};

/// Where the value of a node is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A leaf: memory of the caller.
    Leaf,
    /// Byte offset in the arena of the run.
    Main(usize),
    /// Byte offset in the arena of a worker, for the chunk at hand.
    Local(usize),
    /// Byte offset in the arena of a worker, for all chunks of the span at hand.
    Span(usize),
    /// Index of a parameter-only value.
    ParameterOnly(usize),
    /// Not computed.
    Unused,
}

/// A value that depends on states alone, above all on parameters: no input of a step has a part in it. It is computed again only
/// when one of the states has changed.
#[derive(Clone, Debug)]
pub struct ParameterOnly {
    /// The node.
    pub node: NodeId,
    /// The states it depends on.
    pub states: Vec<StateId>,
    /// The nodes that have to be run for it, itself last.
    pub needs: Vec<NodeId>,
}

/// A node of a segment.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The node.
    pub node: NodeId,
    /// Which of its inputs are cut along axis 0.
    pub sliced: Vec<bool>,
    /// For a sum over the samples, byte offset of its slots in the arena of the run.
    pub slots: Option<usize>,
    /// Whether it runs once a span, because its sum is larger than what it reads of a chunk.
    pub deferred: bool,
}

/// One stretch of the schedule.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Nodes over complete tensors, one after another.
    Whole(Vec<NodeId>),
    /// Sums over all processes, one after another: the end of a phase.
    ProcessSums(Vec<NodeId>),
    /// Nodes that treat samples, or single elements, independently.
    Segment(Segment),
}

/// Nodes that run a chunk of samples at a time. In a segment of ops on the elements of tensors of equal shape, each
/// element is a sample.
#[derive(Clone, Debug)]
pub struct Segment {
    /// In order of execution.
    pub pieces: Vec<Piece>,
    /// Samples in all: the batch, or the number of elements.
    pub samples: usize,
    /// Whether each element is a sample.
    pub flat: bool,
    /// Most samples of a chunk.
    pub chunk: usize,
    /// Most samples of a span, a number of whole chunks.
    pub span: usize,
    /// Parallel tasks; task t takes samples `t * samples / tasks .. (t + 1) * samples / tasks` and owns slot t of each sum.
    pub tasks: usize,
    /// Bytes of a worker's arena for values.
    pub local_bytes: usize,
    /// Floats of working memory for kernels.
    pub scratch: usize,
    /// Shapes of all operands for every size of chunk or span that occurs.
    pub cuts: Vec<Cut>,
}

/// Shapes of the operands of a segment's pieces for chunks or spans of one size.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Samples of the chunk or span.
    pub samples: usize,
    /// For each piece the shapes of its inputs.
    pub inputs: Vec<Vec<Vec<usize>>>,
    /// For each piece the shape of its output.
    pub outputs: Vec<Vec<usize>>,
}

/// A state and what it is set to at the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assign {
    /// The state.
    pub state: StateId,
    /// The node whose value it takes.
    pub value: NodeId,
    /// A 0-d bool: where it is true the state stays as it is. The CPU alone takes it.
    pub unless: Option<NodeId>,
}

/// What a plan consists of.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The graph in the arrangements that its ops prefer, with its fused blocks.
    pub graph: Graph,
    /// Samples of the batch; 1 if there is none.
    pub batch: usize,
    /// Values to hand back.
    pub outputs: Vec<NodeId>,
    /// States to set at the end.
    pub assigns: Vec<Assign>,
    /// Values kept from step to step.
    pub parameter_only: Vec<ParameterOnly>,
    /// What is run, in order.
    pub stages: Vec<Stage>,
    /// Where each node's value is.
    pub places: Vec<Place>,
    /// Bytes of the arena of the run.
    pub main_bytes: usize,
    /// Floats of working memory for nodes that run over complete tensors.
    pub scratch: usize,
    /// Floating-point operations of a step as it was described, by the name of the op, without parameter-only values.
    pub flops_by_op: BTreeMap<&'static str, u64>,
}

impl Layout {
    /// A rough guess at the time that one core takes for a step whose parameter-only values are known.
    pub fn nanoseconds(&self) -> f64 {
        let nodes = |stage: &Stage| -> Vec<NodeId> {
            match stage {
                Stage::Whole(nodes) | Stage::ProcessSums(nodes) => nodes.clone(),
                Stage::Segment(segment) => segment.pieces.iter().map(|p| p.node).collect(),
            }
        };
        self.stages.iter().flat_map(nodes).map(|id| count::nanoseconds(&self.graph, id)).sum()
    }

    /// Bytes of the arena that each worker needs, for values of a chunk and working memory of kernels.
    pub fn worker_bytes(&self) -> usize {
        let segment = |stage: &Stage| match stage {
            Stage::Segment(s) => s.local_bytes + 4 * s.scratch,
            Stage::Whole(_) | Stage::ProcessSums(_) => 0,
        };
        self.stages.iter().map(segment).max().unwrap_or(0).max(4 * self.scratch)
    }
}

impl Segment {
    /// A segment that is not yet cut and placed.
    pub(crate) fn new(pieces: Vec<Piece>, samples: usize, flat: bool) -> Self {
        let (chunk, span, tasks) = (1, 1, 1);
        Segment { pieces, samples, flat, chunk, span, tasks, local_bytes: 0, scratch: 0, cuts: Vec::new() }
    }

    /// The samples of a task.
    pub fn share(&self, task: usize) -> std::ops::Range<usize> {
        task * self.samples / self.tasks..(task + 1) * self.samples / self.tasks
    }

    /// Shape of an operand for so many samples; `cut` if it is cut, else it is whole.
    pub(crate) fn shape(&self, whole: &[usize], cut: bool, samples: usize) -> Vec<usize> {
        match (cut, self.flat) {
            (true, true) => vec![samples],
            (true, false) => [&[whole[0] / self.samples * samples], &whole[1..]].concat(),
            // One value for all elements.
            (false, true) => Vec::new(),
            (false, false) => whole.to_vec(),
        }
    }
}
