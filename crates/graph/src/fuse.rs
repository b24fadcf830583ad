//! Puts fused blocks in the place of the nodes they compute: one pass over memory instead of several.
//!
//! What is fused is a list of rules (`Registry::fuse`), each beside the block that it puts in place. Nodes are asked from the last to the first, so that a gradient
//! that computes a value again has been seen when the node it got the value from is asked who else uses it.
use crate::arrange::live;
use crate::error::Result;
use crate::graph::{Graph, Kind, NodeId};
use crate::op::{Fused, Site};

/// The same graph with its fused blocks, and where `roots` are in it.
pub fn fuse(graph: &Graph, roots: &[NodeId]) -> Result<(Graph, Vec<NodeId>)> {
    let order = live(graph, roots);
    let mut uses = vec![0usize; graph.nodes().len()];
    for id in order.iter().flat_map(|&id| &graph.node(id).inputs).chain(roots) {
        uses[*id] += 1;
    }
    let mut fused: Vec<Option<Fused>> = vec![None; graph.nodes().len()];
    for &id in order.iter().rev() {
        let node = graph.node(id);
        if uses[id] == 0 {
            node.inputs.iter().for_each(|&i| uses[i] -= 1);
            continue;
        }
        let Kind::Op(op) = &node.kind else { continue };
        let only_here = |input: NodeId| uses[input] == 1;
        let site = Site { graph, op: op.as_ref(), inputs: &node.inputs, only_here: &only_here };
        let block = graph.registry().fused(&site);
        // What no one else computes any more is not worth a block.
        if let Some(block) = block.filter(|block| block.inputs.iter().all(|&i| uses[i] > 0)) {
            block.inputs.iter().for_each(|&i| uses[i] += 1);
            node.inputs.iter().for_each(|&i| uses[i] -= 1);
            fused[id] = Some(block);
        }
    }
    let mut rebuilt = Rebuilt { from: graph, fused, to: Graph::new(graph.registry()), at: vec![None; uses.len()] };
    for id in order.into_iter().filter(|&id| uses[id] > 0) {
        rebuilt.node(id)?;
    }
    let roots = roots.iter().map(|&root| rebuilt.node(root)).collect::<Result<_>>()?;
    Ok((rebuilt.to, roots))
}

/// The graph with its blocks, as far as it is made.
struct Rebuilt<'a> {
    from: &'a Graph,
    fused: Vec<Option<Fused>>,
    to: Graph,
    at: Vec<Option<NodeId>>,
}

impl Rebuilt<'_> {
    /// A node or its block, after its operands: those of a block may stand behind the node that it replaces.
    fn node(&mut self, id: NodeId) -> Result<NodeId> {
        if let Some(at) = self.at[id] {
            return Ok(at);
        }
        let node = self.from.node(id);
        let block = self.fused[id].take();
        let inputs = block.as_ref().map_or(&node.inputs, |block| &block.inputs);
        let inputs: Vec<NodeId> = inputs.iter().map(|&input| self.node(input)).collect::<Result<_>>()?;
        let at = match (&node.kind, block) {
            (Kind::Input { index, batched }, _) => self.to.input(*index, node.spec.clone(), *batched)?,
            (Kind::State { id, batched }, _) => self.to.state(*id, node.spec.clone(), *batched)?,
            (Kind::Op(_), Some(block)) => self.to.insert(block.op, &inputs)?,
            (Kind::Op(op), None) => self.to.insert(op.clone(), &inputs)?,
        };
        self.at[id] = Some(at);
        Ok(at)
    }
}
