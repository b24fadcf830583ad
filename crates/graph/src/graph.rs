//! Nodes and the hash-consed graph they form: the same expression is one node, however often it is written.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::op::{Op, Registry};
use crate::spec::Spec;

/// Index of a node; inputs always have smaller indices than the nodes that use them.
pub type NodeId = usize;

/// Identity of an engine state.
pub type StateId = u32;

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A tensor handed over with each run, by position.
    Input {
        /// Position among the inputs of a run.
        index: usize,
        /// Whether axis 0 runs over the samples.
        batched: bool,
    },
    /// The value of an engine state at the start of the step.
    State {
        /// Which state.
        id: StateId,
        /// Whether axis 0 runs over the samples.
        batched: bool,
    },
    /// The result of an op.
    Op(Arc<dyn Op>),
}

/// One node of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its operands.
    pub inputs: Vec<NodeId>,
    /// Shape and element type of its value.
    pub spec: Spec,
    /// Hash of the whole expression: equal for equal expressions in any graph.
    pub fingerprint: u128,
}

/// An expression graph in topological order.
#[derive(Clone, Debug)]
pub struct Graph {
    registry: &'static Registry,
    nodes: Vec<Node>,
    known: HashMap<u128, NodeId>,
}

impl Graph {
    /// An empty graph whose ops come from `registry`.
    pub fn new(registry: &'static Registry) -> Self {
        Graph { registry, nodes: Vec::new(), known: HashMap::new() }
    }

    /// All ops that this graph may use.
    pub fn registry(&self) -> &'static Registry {
        self.registry
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Shape and element type of a node's value.
    pub fn spec(&self, id: NodeId) -> &Spec {
        &self.nodes[id].spec
    }

    /// Shape of a node's value.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.nodes[id].spec.shape
    }

    /// An input of the run.
    pub fn input(&mut self, index: usize, spec: Spec, batched: bool) -> Result<NodeId> {
        let key = fingerprint("input", &format!("{index} {batched} {spec:?}"), &[]);
        let spec = spec.check()?;
        Ok(self.intern(Node { kind: Kind::Input { index, batched }, inputs: Vec::new(), spec, fingerprint: key }))
    }

    /// A state of the engine.
    pub fn state(&mut self, id: StateId, spec: Spec, batched: bool) -> Result<NodeId> {
        let key = fingerprint("state", &format!("{id} {batched} {spec:?}"), &[]);
        let spec = spec.check()?;
        Ok(self.intern(Node { kind: Kind::State { id, batched }, inputs: Vec::new(), spec, fingerprint: key }))
    }

    /// The result of `op`; an error names the op and all shapes.
    pub fn emit(&mut self, op: impl Op, inputs: &[NodeId]) -> Result<NodeId> {
        self.insert(Arc::new(op), inputs)
    }

    /// The same for an op of which only the trait is known, such as one that the registry has made.
    pub fn insert(&mut self, op: Arc<dyn Op>, inputs: &[NodeId]) -> Result<NodeId> {
        let of: Vec<u128> = inputs.iter().map(|&i| self.nodes[i].fingerprint).collect();
        let key = fingerprint(op.name(), &op.attributes().to_string(), &of);
        if let Some(&id) = self.known.get(&key) {
            return Ok(id);
        }
        let specs: Vec<&Spec> = inputs.iter().map(|&i| &self.nodes[i].spec).collect();
        let spec = infer(op.as_ref(), &specs)?;
        Ok(self.intern(Node { kind: Kind::Op(op), inputs: inputs.to_vec(), spec, fingerprint: key }))
    }

    fn intern(&mut self, node: Node) -> NodeId {
        *self.known.entry(node.fingerprint).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }
}

/// Infers the spec of `op` on `inputs`; an error names the op and all shapes.
pub fn infer(op: &dyn Op, inputs: &[&Spec]) -> Result<Spec> {
    op.infer(inputs)
        .and_then(Spec::check)
        .map_err(|e: Error| e.of_op(op.name(), inputs.iter().map(|s| s.shape.clone()).collect()))
}

fn fingerprint(name: &str, attributes: &str, inputs: &[u128]) -> u128 {
    let half = |salt: u64| {
        let mut h = DefaultHasher::new();
        (salt, name, attributes, inputs).hash(&mut h);
        h.finish() as u128
    };
    half(0) << 64 | half(1)
}
