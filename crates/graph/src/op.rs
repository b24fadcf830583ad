//! The seam between the graph and the operations: what each op knows of itself.
// Circle: nodes hold ops, and the derivative of an op adds nodes.
use ndarray::ArrayD;
use serde_json::Value;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::gpu::Form;
use crate::graph::{Graph, Kind, NodeId};
use crate::spec::Spec;
use crate::view::Call;

/// How an op treats the samples that lie along axis 0 of some of its inputs.
///
/// A batch of N samples may be cut into chunks when the result for one sample needs that sample alone. `sliced[i]`
/// says that input i is cut along axis 0 (into N equal parts, each of one or more rows); other inputs are given whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Rows of the output along axis 0 belong to samples as the rows of the sliced inputs do.
    PerSample {
        /// Which inputs are cut.
        sliced: Vec<bool>,
    },
    /// The output is the sum over samples of what the kernel computes on each chunk; the kernel accumulates.
    Sum {
        /// Which inputs are cut.
        sliced: Vec<bool>,
    },
    /// The op needs all samples at once.
    Whole,
}

/// An operand as the planner sees it.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Shape and element type for the whole batch.
    pub spec: &'a Spec,
    /// Whether axis 0 runs over the samples.
    pub batched: bool,
}

/// An op that computes the same function on operands whose axes are arranged otherwise.
#[derive(Clone, Debug)]
pub struct Arranged {
    /// The op for that arrangement.
    pub op: Arc<dyn Op>,
    /// For each input the permutation (as for `permute`) that brings it to the wanted arrangement; `None` leaves it.
    pub inputs: Vec<Option<Vec<usize>>>,
    /// The permutation that leads from the canonical output to the one this op writes; `None` if they are the same.
    pub output: Option<Vec<usize>>,
}

/// An op that computes at once what a node and some of the nodes before it compute.
#[derive(Clone, Debug)]
pub struct Fused {
    /// The fused block. Its result has the shape and type of the node's.
    pub op: Arc<dyn Op>,
    /// Its operands: nodes that do not depend on the node.
    pub inputs: Vec<NodeId>,
}

/// What a VJP is given. It returns one cotangent per input, `None` where the output does not depend on it smoothly.
#[derive(Debug)]
pub struct Vjp<'a> {
    /// Where the emitted nodes go.
    pub graph: &'a mut Graph,
    /// Inputs of the node that is differentiated.
    pub inputs: &'a [NodeId],
    /// The node itself.
    pub output: NodeId,
    /// The cotangent of its output: same shape as the output.
    pub cotangent: NodeId,
}

/// What bounds of rounding may count on in the f32 kernels of an op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accuracy {
    /// It moves, chooses, compares or counts: no float is rounded.
    Exact,
    /// Each sum, product, constant and integer is the nearest float (a product may be fused with its sum), and a sum is formed in
    /// one order.
    Summed,
    /// The same, and results of this function are off by at most so many units in the last place.
    Function(Measured, f64),
    /// Nothing: the layers of a certificate should not compute by it.
    Unknown,
}

impl Accuracy {
    /// Whether a kernel that is so exact keeps what is promised by `other`.
    pub fn covers(self, other: Accuracy) -> bool {
        match (self, other) {
            (_, Accuracy::Unknown) | (Accuracy::Exact, _) => true,
            (Accuracy::Summed, Accuracy::Summed | Accuracy::Function(..)) => true,
            (Accuracy::Function(own, ulps), Accuracy::Function(function, most)) => own == function && ulps <= most,
            _ => false,
        }
    }
}

/// The functions whose errors the self-test of a device measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Quotients.
    Division,
    /// Square roots.
    Sqrt,
    /// The exponential function.
    Exp,
    /// The natural logarithm.
    Log,
    /// The hyperbolic tangent.
    Tanh,
    /// The logistic function.
    Sigmoid,
    /// The inverse hyperbolic tangent.
    Atanh,
    /// Powers.
    Pow,
}

/// An operation. It is a value: its attributes are fixed when it is made, and it knows no device and no data.
pub trait Op: Any + Debug + Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// Attributes as they were given; two ops are equal when name and attributes are.
    fn attributes(&self) -> Value;

    /// Shape and type of the result, or an error that says what is wrong with the operands.
    fn infer(&self, inputs: &[&Spec]) -> Result<Spec>;

    /// Emits the vector-Jacobian product as ordinary nodes, one entry per input.
    fn vjp(&self, vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>>;

    /// The plain definition in f64 (integers and booleans are represented exactly): the oracle of every other form.
    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64>;

    /// How samples along axis 0 are treated; only asked when some input is batched.
    fn samples(&self, inputs: &[Operand<'_>], output: &Spec) -> Samples;

    /// Whether each element of the result comes from the elements at its place in the operands, broadcast as in NumPy.
    fn elementwise(&self) -> bool {
        false
    }

    /// Whether the kernels give the share of this process alone, f32, of which the executor then forms the sum over all processes. What
    /// depends on such a value is computed in a later phase.
    fn sums_processes(&self) -> bool {
        false
    }

    /// Another arrangement of axes (channels last, a transposed weight) in which the CPU kernel works.
    fn arranged(&self, _inputs: &[&Spec]) -> Option<Arranged> {
        None
    }

    /// The same function when all inputs of full rank come with their axes permuted by `axes`; `None` if there is none.
    fn permuted(&self, _axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        None
    }

    /// Floats of working memory that `cpu` needs for operands of these shapes.
    fn scratch(&self, _inputs: &[&[usize]], _output: &[usize]) -> usize {
        0
    }

    /// Whether the CPU kernel adds to its output, which the engine then sets to zero before the first call. An op that
    /// answers `Samples::Sum` for some operands must.
    fn accumulates(&self) -> bool {
        false
    }

    /// Whether the CPU kernel shares the work out among all workers itself when it is given complete tensors.
    fn parallel(&self) -> bool {
        false
    }

    /// How exact its kernels are. On a GPU the error of a function is what the device's self-test has measured. Certificates ask the
    /// ops that a layer is written with: what planning puts in their place covers this.
    fn accuracy(&self) -> Accuracy;

    /// The CPU kernel.
    fn cpu(&self, call: Call<'_>);

    /// What it is on a GPU, for operands of these shapes.
    ///
    /// # Errors
    /// `UNSUPPORTED` where it cannot be computed there.
    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Err(Error::new(Code::Unsupported, format!("{} has no GPU form: use device \"cpu\"", self.name())))
    }

    /// Floating-point operations for operands of these shapes, as `explain()` counts them.
    fn flops(&self, _inputs: &[&[usize]], output: &[usize]) -> u64 {
        output.iter().product::<usize>() as u64
    }
}

/// Makes an op from its attributes.
pub type Constructor = fn(&Value) -> Result<Arc<dyn Op>>;

/// A node of a differentiated and arranged graph that a fusion rule is asked about.
pub struct Site<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// The op of the node.
    pub op: &'a dyn Op,
    /// Its operands.
    pub inputs: &'a [NodeId],
    /// Whether no other node uses a node, and nobody asked for it.
    pub only_here: &'a dyn Fn(NodeId) -> bool,
}

impl<'a> Site<'a> {
    /// The op, if it is of this type.
    pub fn op<T: Op>(&self) -> Option<&'a T> {
        (self.op as &dyn Any).downcast_ref()
    }

    /// The op of another node with its operands, if it is of this type.
    pub fn computed_by<T: Op>(&self, id: NodeId) -> Option<(&'a T, &'a [NodeId])> {
        let node = self.graph.node(id);
        let Kind::Op(op) = &node.kind else { return None };
        Some(((&**op as &dyn Any).downcast_ref()?, &node.inputs))
    }
}

/// A rule of fusion: the block that computes a node together with the nodes behind some of its operands, if there is one.
pub type Fusion = fn(&Site<'_>) -> Option<Fused>;

/// The ops of which differentiation and arrangement make nodes of their own.
#[derive(Clone, Copy, Debug)]
pub struct Basics {
    /// The sum of two tensors of one shape.
    pub add: fn() -> Arc<dyn Op>,
    /// f32 of this shape whose elements all are this number.
    pub full: fn(&[usize], f64) -> Arc<dyn Op>,
    /// Axis i of the result is axis `axes[i]` of the operand.
    pub permute: fn(&[usize]) -> Arc<dyn Op>,
}

/// All ops by name, and the rules by which they are fused.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) basics: Basics,
    ops: BTreeMap<&'static str, Constructor>,
    fusions: Vec<Fusion>,
}

impl Registry {
    /// A registry without names, whose graphs can be differentiated and arranged all the same.
    pub fn new(basics: Basics) -> Self {
        Registry { basics, ops: BTreeMap::new(), fusions: Vec::new() }
    }

    /// Adds an op.
    pub fn insert(&mut self, name: &'static str, make: Constructor) {
        self.ops.insert(name, make);
    }

    /// Adds a rule of fusion; of several that fit a node the first counts.
    pub fn fuse(&mut self, rule: Fusion) {
        self.fusions.push(rule);
    }

    /// The block for a node, if a rule has one.
    pub fn fused(&self, site: &Site<'_>) -> Option<Fused> {
        self.fusions.iter().find_map(|rule| rule(site))
    }

    /// The op of that name with these attributes: for descriptions that come from outside. Rust makes an op as the value it is.
    pub fn make(&self, name: &str, attributes: &Value) -> Result<Arc<dyn Op>> {
        let make = self.ops.get(name).ok_or_else(|| Error::argument(format!("there is no op named \"{name}\"")))?;
        make(attributes).map_err(|e| e.of_op(name, Vec::new()))
    }

    /// Every registered name.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.ops.keys().copied()
    }
}
