//! Chooses how axes are arranged in memory: channels last through convolutions, transposed weights for products.
//!
//! An op that prefers another arrangement says so (`Op::arranged`); the permutations this needs are ordinary nodes, made
//! only where a value is wanted in a form it does not have, and ops that do not care follow what they are given.
use std::collections::HashMap;

use crate::error::Result;
use crate::graph::{Graph, Kind, NodeId};
use crate::op::Arranged;
use crate::spec::Spec;

type Axes = Option<Vec<usize>>;

/// The same graph with its ops in the arrangements they prefer, and where `roots` (in canonical form) are in it.
pub fn arrange(graph: &Graph, roots: &[NodeId]) -> Result<(Graph, Vec<NodeId>)> {
    let mut pass =
        Pass { from: graph, to: Graph::new(graph.registry()), forms: HashMap::new(), natural: HashMap::new() };
    for id in live(graph, roots) {
        pass.node(id)?;
    }
    let roots = roots.iter().map(|&r| pass.form(r, &None)).collect::<Result<_>>()?;
    Ok((pass.to, roots))
}

/// The nodes that `roots` depend on, in topological order.
pub fn live(graph: &Graph, roots: &[NodeId]) -> Vec<NodeId> {
    let mut seen = vec![false; graph.nodes().len()];
    let mut stack = roots.to_vec();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut seen[id], true) {
            stack.extend(&graph.node(id).inputs);
        }
    }
    (0..seen.len()).filter(|&id| seen[id]).collect()
}

struct Pass<'a> {
    from: &'a Graph,
    to: Graph,
    /// Where a node of the old graph is in the new one, for each arrangement made so far.
    forms: HashMap<(NodeId, Axes), NodeId>,
    /// The arrangement in which a node was first computed.
    natural: HashMap<NodeId, Axes>,
}

impl Pass<'_> {
    fn node(&mut self, id: NodeId) -> Result<()> {
        let node = self.from.node(id);
        let (new, axes) = match &node.kind {
            Kind::Input { index, batched } => (self.to.input(*index, node.spec.clone(), *batched)?, None),
            Kind::State { id, batched } => (self.to.state(*id, node.spec.clone(), *batched)?, None),
            Kind::Op(op) => {
                let specs: Vec<&Spec> = node.inputs.iter().map(|&i| self.from.spec(i)).collect();
                let canonical = || Arranged { op: op.clone(), inputs: vec![None; node.inputs.len()], output: None };
                let chosen = op
                    .arranged(&specs)
                    .or_else(|| self.carried(&node.inputs).and_then(|axes| op.permuted(&axes, &specs)))
                    .unwrap_or_else(canonical);
                let inputs: Vec<NodeId> = node
                    .inputs
                    .iter()
                    .zip(&chosen.inputs)
                    .map(|(&i, axes)| self.form(i, axes))
                    .collect::<Result<_>>()?;
                (self.to.insert(chosen.op, &inputs)?, chosen.output)
            }
        };
        self.forms.insert((id, axes.clone()), new);
        self.natural.insert(id, axes);
        Ok(())
    }

    /// The arrangement of the largest input, if that is not canonical.
    fn carried(&self, inputs: &[NodeId]) -> Axes {
        let largest = inputs.iter().copied().max_by_key(|&i| (self.from.spec(i).len(), std::cmp::Reverse(i)))?;
        if self.forms.contains_key(&(largest, None)) { None } else { self.natural.get(&largest).cloned().flatten() }
    }

    /// Node `id` of the old graph in the wanted arrangement, permuted now if it has never been needed so.
    fn form(&mut self, id: NodeId, axes: &Axes) -> Result<NodeId> {
        let key = (id, axes.clone());
        if let Some(&known) = self.forms.get(&key) {
            return Ok(known);
        }
        let canonical = match self.forms.get(&(id, None)) {
            Some(&known) => known,
            None => {
                let natural = self.natural[&id].clone();
                let back = natural.as_ref().map(|a| inverse(a)).unwrap_or_default();
                let permuted = self.forms[&(id, natural)];
                let new = self.permute(permuted, &back)?;
                self.forms.insert((id, None), new);
                new
            }
        };
        let Some(axes) = axes else { return Ok(canonical) };
        let new = self.permute(canonical, axes)?;
        self.forms.insert(key, new);
        Ok(new)
    }

    fn permute(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        let permute = self.to.registry().basics.permute;
        self.to.insert(permute(axes), &[x])
    }
}

/// The permutation that undoes `axes`.
pub fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut out = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        out[from] = to;
    }
    out
}
