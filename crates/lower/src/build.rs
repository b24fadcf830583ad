//! From the nodes of a plan to values, what computes each, and how it is read: here views disappear.
use std::collections::HashMap;
use tslip_graph::gpu::{Elementwise, Form, Rearrange};
use tslip_graph::plan::Plan;
use tslip_graph::{Kind, NodeId, Spec};

use crate::access::{Access, squeezed};
use crate::dispatch::Location;
use crate::value::{Computation, Value};

/// The values of a plan, as far as they are made.
pub struct Lowering<'a> {
    pub plan: &'a Plan,
    /// Which nodes have rows for the samples.
    pub of_samples: Vec<bool>,
    pub values: Vec<Value>,
    /// How the value of a node is read.
    pub seen: HashMap<NodeId, Access>,
    pub copies: HashMap<Access, usize>,
}

impl Lowering<'_> {
    /// What is computed of samples alone may have rows for them; a node of the graph is known to, or not.
    fn add(&mut self, spec: Spec, computation: Computation) -> usize {
        let samples = match &computation {
            Computation::Elementwise { operands, .. } => {
                operands.iter().any(|access| self.values[access.source].samples)
            }
            _ => false,
        };
        self.values.push(Value { spec, computation, operations: 0, level: 0, samples, root: false, target: None });
        self.values.len() - 1
    }

    pub fn leaf(&mut self, node: NodeId, location: Location) {
        let spec = self.plan.graph.spec(node).clone();
        let value = self.add(spec.clone(), Computation::Leaf(location));
        self.seen.insert(node, Access::whole(value, &spec.shape));
    }

    /// Takes in all nodes that `roots` need, as far as they are not known.
    pub fn nodes(&mut self, forms: &HashMap<NodeId, Form>, roots: &[NodeId]) {
        let mut needed: Vec<bool> = vec![false; self.plan.graph.nodes().len()];
        let mut stack: Vec<NodeId> = roots.to_vec();
        while let Some(id) = stack.pop() {
            if !self.seen.contains_key(&id) && !std::mem::replace(&mut needed[id], true) {
                stack.extend(&self.plan.graph.node(id).inputs);
            }
        }
        for id in (0..needed.len()).filter(|&id| needed[id]) {
            self.node(id, forms);
        }
    }

    fn node(&mut self, id: NodeId, forms: &HashMap<NodeId, Form>) {
        let node = self.plan.graph.node(id);
        let op = match &node.kind {
            Kind::Input { index, .. } => return self.leaf(id, Location::Input(*index)),
            Kind::State { id: state, .. } => return self.leaf(id, Location::State(*state)),
            Kind::Op(op) => op,
        };
        let (name, shape) = (op.name(), &node.spec.shape);
        let inputs: Vec<Access> = node.inputs.iter().map(|i| self.seen[i].clone()).collect();
        let computation = match &forms[&id] {
            Form::View(how) => {
                let seen = match how {
                    Rearrange::Reshape | Rearrange::Start => self.reshaped(&inputs[0], how, shape, node.inputs[0]),
                    _ => inputs[0].rearranged(how, shape).unwrap_or_else(|| unreachable!("only a reshape may move")),
                };
                self.seen.insert(id, seen);
                return;
            }
            Form::Elementwise(function) => {
                let operands = (inputs.into_iter().zip(&node.inputs).enumerate())
                    .map(|(i, (access, &input))| {
                        let seen = function.seen.as_ref().filter(|_| i == 0);
                        let access = seen.map_or_else(
                            || access.clone(),
                            |shape| self.reshaped(&access, &Rearrange::Reshape, shape, input),
                        );
                        let wide = access.rearranged(&Rearrange::Broadcast, shape);
                        self.computed(wide.unwrap_or_else(|| unreachable!("a broadcast needs no move")))
                    })
                    .collect();
                Computation::Elementwise { name, function: function.clone(), operands }
            }
            Form::Kernels(launches) => {
                let operands = inputs.into_iter().zip(&node.inputs).map(|(a, &i)| self.contiguous(a, i)).collect();
                Computation::Kernels { launches: launches.clone(), operands }
            }
            Form::Host => Computation::Host(id),
        };
        let value = self.add(node.spec.clone(), computation);
        self.values[value].samples = self.of_samples[id];
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|&i| self.plan.graph.shape(i)).collect();
        self.values[value].operations = op.flops(&shapes, shape);
        self.seen.insert(id, Access::whole(value, shape));
    }

    /// The elements of a node in row-major order: moved, if they are not.
    fn contiguous(&mut self, access: Access, node: NodeId) -> Access {
        if access.is_contiguous() { access } else { self.copy(access, node) }
    }

    /// The elements of a node in another shape: moved, if no strides lead there.
    fn reshaped(&mut self, access: &Access, how: &Rearrange, shape: &[usize], node: NodeId) -> Access {
        access.rearranged(how, shape).unwrap_or_else(|| {
            let moved = self.contiguous(access.clone(), node);
            moved.rearranged(how, shape).unwrap_or_else(|| unreachable!("what lies row-major is reshaped"))
        })
    }

    /// What an elementwise op computed, computed in the order in which it is read: it then stays in a register.
    fn computed(&mut self, access: Access) -> Access {
        if let Some(&value) = self.copies.get(&access) {
            return Access::whole(value, &access.shape);
        }
        let source = &self.values[access.source];
        let (Computation::Elementwise { name, function, operands }, shape) = (&source.computation, &source.spec.shape)
        else {
            return access;
        };
        let in_order = access.is_contiguous() && squeezed(&access.shape) == squeezed(shape);
        if in_order || access.offset != 0 || access.len() != source.spec.len() || function.expression.contains("$i") {
            return access;
        }
        let through = |operand: &Access| match access.is_contiguous() {
            true => operand.rearranged(&Rearrange::Reshape, &access.shape),
            false => access.through(shape, operand),
        };
        let Some(operands) = operands.iter().map(through).collect::<Option<Vec<Access>>>() else { return access };
        let (name, function) = (*name, function.clone());
        let spec = Spec::new(access.shape.clone(), source.spec.dtype);
        let operands = operands.into_iter().map(|operand| self.computed(operand)).collect();
        let value = self.add(spec, Computation::Elementwise { name, function, operands });
        let shape = access.shape.clone();
        self.copies.insert(access, value);
        Access::whole(value, &shape)
    }

    fn copy(&mut self, access: Access, node: NodeId) -> Access {
        let access = self.computed(access);
        if access.is_contiguous() && matches!(self.values[access.source].computation, Computation::Elementwise { .. }) {
            return access;
        }
        let shape = access.shape.clone();
        let value = match self.copies.get(&access) {
            Some(&value) => value,
            None => {
                let computation = identity(access.clone());
                let value = self.add(Spec::new(shape.clone(), self.plan.graph.spec(node).dtype), computation);
                self.copies.insert(access, value);
                value
            }
        };
        Access::whole(value, &shape)
    }

    /// How an output is read after the run.
    pub fn output(&mut self, node: NodeId) -> Access {
        let seen = self.seen[&node].clone();
        let access = if self.is_assigned(&seen) { self.copy(seen, node) } else { self.contiguous(seen, node) };
        self.values[access.source].root = true;
        access
    }

    /// Whether it is read from a state that changes at the end of the run.
    fn is_assigned(&self, access: &Access) -> bool {
        match self.values[access.source].computation {
            Computation::Leaf(Location::State(state)) => self.plan.assigns.iter().any(|a| a.state == state),
            _ => false,
        }
    }

    /// What has to be written to locations that outlive the run.
    pub fn targets(&mut self, targets: &[(NodeId, Location)]) {
        // A state may take another's old value: that is moved first, since all targets are written together.
        let reads: Vec<Access> = targets
            .iter()
            .map(|&(node, _)| {
                let seen = self.seen[&node].clone();
                if self.is_assigned(&seen) { self.copy(seen, node) } else { seen }
            })
            .collect();
        for (access, &(node, location)) in reads.into_iter().zip(targets) {
            let spec = Spec::new(access.shape.clone(), self.plan.graph.spec(node).dtype);
            let value = self.add(spec, identity(access));
            self.values[value].target = Some(location);
            self.values[value].root = true;
        }
    }
}

fn identity(access: Access) -> Computation {
    Computation::Elementwise { name: "copy", function: Elementwise::of("$0"), operands: vec![access] }
}
