//! Puts fused blocks in the place of the nodes they compute: one pass over memory instead of several.
//!
//! What is fused is a list of rules (`Registry::fuse`), each beside the block that it puts in place. Nodes are asked from the
//! last to the first, so that a gradient that computes a value again has been seen when the node it got the value from is asked
//! who else uses it. A block that promises less of its rounding than each node it stands for is not put in place: what a
//! certificate has read off the nodes holds for what is run.
use std::collections::BTreeSet;

use crate::arrange::live;
use crate::error::Result;
use crate::graph::{Graph, Kind, NodeId};
use crate::op::{Accuracy, Fused, Site};

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
        let block = block.filter(|block| block.inputs.iter().all(|&i| uses[i] > 0));
        if let Some(block) = block.filter(|block| is_as_exact(block, graph, id)) {
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

/// Whether a block for node `id` is as exact as the least exact node that it stands for.
fn is_as_exact(block: &Fused, graph: &Graph, id: NodeId) -> bool {
    let nodes = replaced(graph, id, &block.inputs);
    // What it reads that they do not may be of any exactness.
    let read = |operand: &NodeId| nodes.iter().any(|&node| graph.node(node).inputs.contains(operand));
    let accuracy = if block.inputs.iter().all(read) { block.op.accuracy() } else { Accuracy::Unknown };
    nodes.iter().any(|&node| match &graph.node(node).kind {
        Kind::Op(op) => accuracy.covers(op.accuracy()),
        Kind::Input { .. } | Kind::State { .. } => false,
    })
}

/// Node `id` and the nodes behind it that are made of some of `operands`: those that a block with these operands stands for.
fn replaced(graph: &Graph, id: NodeId, operands: &[NodeId]) -> Vec<NodeId> {
    // Nodes before all operands are made of none.
    let first = operands.iter().copied().min().unwrap_or(id);
    let mut behind = BTreeSet::from([id]);
    let mut stack = vec![id];
    while let Some(node) = stack.pop() {
        let further = graph.node(node).inputs.iter().filter(|input| **input > first && !operands.contains(input));
        stack.extend(further.filter(|&&input| behind.insert(input)));
    }
    let mut made: BTreeSet<NodeId> = operands.iter().copied().collect();
    behind.retain(|&node| {
        let of_operands = graph.node(node).inputs.iter().any(|input| made.contains(input));
        if of_operands {
            made.insert(node);
        }
        of_operands || node == id
    });
    behind.into_iter().collect()
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

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;
    use serde_json::{Value, json};
    use std::sync::Arc;

    use super::*;
    use crate::op::{Basics, Fusion, Measured, Op, Operand, Registry, Samples, Vjp};
    use crate::spec::Spec;
    use crate::view::Call;

    const SUMMED: Accuracy = Accuracy::Summed;
    const ROOT: Accuracy = Accuracy::Function(Measured::Sqrt, 0.5);
    const WORSE_ROOT: Accuracy = Accuracy::Function(Measured::Sqrt, 1.0);
    const QUOTIENT: Accuracy = Accuracy::Function(Measured::Division, 0.5);

    /// An op of which its accuracy matters, and that of the block for it and the node behind it.
    #[derive(Debug)]
    struct Step {
        name: &'static str,
        accuracy: Accuracy,
        block: Option<Accuracy>,
    }

    impl Op for Step {
        fn name(&self) -> &'static str {
            self.name
        }

        fn attributes(&self) -> Value {
            json!({})
        }

        fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
            Ok(inputs[0].clone())
        }

        fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
            Ok(vec![None])
        }

        fn reference(&self, inputs: &[&ArrayD<f64>], _output: &Spec) -> ArrayD<f64> {
            inputs[0].clone()
        }

        fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
            Samples::Whole
        }

        fn accuracy(&self) -> Accuracy {
            self.accuracy
        }

        fn cpu(&self, _call: Call<'_>) {
            unreachable!("it is fused, not run")
        }
    }

    fn of_two(site: &Site<'_>) -> Option<Fused> {
        let accuracy = site.op::<Step>()?.block?;
        let (_, inputs) = site.computed_by::<Step>(site.inputs[0])?;
        let block = Step { name: "block", accuracy, block: None };
        Some(Fused { op: Arc::new(block), inputs: inputs.to_vec() })
    }

    /// The block that reads the value off the node made last.
    fn of_last(site: &Site<'_>) -> Option<Fused> {
        let accuracy = site.op::<Step>()?.block?;
        let block = Step { name: "block", accuracy, block: None };
        Some(Fused { op: Arc::new(block), inputs: vec![site.graph.nodes().len() - 1] })
    }

    fn graph(rule: Fusion) -> Graph {
        let mut registry = Registry::new(Basics {
            add: || unreachable!("nothing is differentiated"),
            full: |_, _| unreachable!("nothing is differentiated"),
            permute: |_| unreachable!("nothing is arranged"),
        });
        registry.fuse(rule);
        Graph::new(Box::leak(Box::new(registry)))
    }

    /// Whether a block is left of all that the roots need.
    fn is_put(graph: &Graph, roots: &[NodeId]) -> bool {
        let (fused, _) = fuse(graph, roots).expect("a valid graph");
        fused.nodes().iter().any(|node| matches!(&node.kind, Kind::Op(op) if op.name() == "block"))
    }

    /// Whether a block is put in the place of two nodes. Of the node behind them, which it does not stand for, nothing is known.
    fn is_put_for(block: Accuracy, [inner, outer]: [Accuracy; 2]) -> bool {
        let mut graph = graph(of_two);
        let steps = [
            Step { name: "behind", accuracy: Accuracy::Unknown, block: None },
            Step { name: "inner", accuracy: inner, block: None },
            Step { name: "outer", accuracy: outer, block: Some(block) },
        ];
        let x = graph.input(0, Spec::f32([2]), false).expect("a valid leaf");
        let root = steps.into_iter().fold(x, |x, step| graph.emit(step, &[x]).expect("a valid node"));
        is_put(&graph, &[root])
    }

    #[test]
    fn a_block_less_exact_than_all_that_it_stands_for_is_not_put_in_place() {
        let exact = Accuracy::Exact;
        for (block, nodes) in [
            (SUMMED, [exact, exact]),
            (ROOT, [exact, SUMMED]),
            (WORSE_ROOT, [ROOT, exact]),
            (QUOTIENT, [exact, ROOT]),
            (Accuracy::Unknown, [exact, WORSE_ROOT]),
        ] {
            assert!(!is_put_for(block, nodes), "{block:?} for {nodes:?}");
        }
        for (block, nodes) in [
            (exact, [exact, exact]),
            (SUMMED, [exact, SUMMED]),
            (SUMMED, [exact, ROOT]),
            (ROOT, [WORSE_ROOT, exact]),
            (QUOTIENT, [ROOT, QUOTIENT]),
            (Accuracy::Unknown, [exact, Accuracy::Unknown]),
        ] {
            assert!(is_put_for(block, nodes), "{block:?} for {nodes:?}");
        }
    }

    #[test]
    fn a_block_that_reads_what_its_nodes_do_not_is_put_only_where_nothing_is_promised() {
        for (promised, put) in [(ROOT, false), (Accuracy::Unknown, true)] {
            let mut graph = graph(of_last);
            let x = graph.input(0, Spec::f32([2]), false).expect("a valid leaf");
            let value = Step { name: "value", accuracy: promised, block: Some(Accuracy::Exact) };
            let value = graph.emit(value, &[x]).expect("a valid node");
            let tape = Step { name: "tape", accuracy: Accuracy::Exact, block: None };
            let tape = graph.emit(tape, &[x]).expect("a valid node");
            assert_eq!(is_put(&graph, &[value, tape]), put, "{promised:?}");
        }
    }
}
