//! From a plan to dispatches.
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use tslip_graph::gpu::{Argument, Form, Rearrange};
use tslip_graph::plan::{Plan, Stage};
use tslip_graph::{Error, Kind, NodeId, Result, Spec, StateId};

use crate::access::Access;
use crate::build::Lowering;
use crate::dispatch::{Cost, Dispatch, Grid, Location, Word};
use crate::value::{Computation, Value};
use crate::{cost, emit, levels, memory, wgsl};

/// A plan in dispatches.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// Words of the arena.
    pub arena: usize,
    /// Where each output of the plan is when the dispatches have run.
    pub outputs: Vec<(Location, usize)>,
    /// Nodes that are made on the CPU before the dispatches run.
    pub hosts: Vec<(NodeId, Location)>,
    /// The parameter-only values that are kept: indices in `Plan::parameter_only`.
    pub kept: Vec<usize>,
}

impl Lowered {
    /// What runs, in order; with the milliseconds of each dispatch where there are any.
    pub fn explain(&self, plan: &Plan, times: &[f64]) -> String {
        let mib = 4.0 * self.arena as f64 / f64::from(1 << 20);
        let mut text = format!(
            "batch {}, {} dispatches in one submission, arena {mib:.1} MiB, {} parameter-only values kept\n",
            plan.batch,
            self.dispatches.len(),
            self.kept.len()
        );
        for (index, dispatch) in self.dispatches.iter().enumerate() {
            let groups: usize = dispatch.grids.iter().map(|grid| grid.groups).sum();
            let grids = match dispatch.grids.len() {
                1 => String::new(),
                grids => format!(", {grids} grids"),
            };
            let time = times.get(index).map_or_else(String::new, |ms| format!("{ms:9.4} ms"));
            text.push_str(&format!("{time}  {index}: {} ({groups} workgroups{grids})\n", dispatch.name));
        }
        text
    }
}

/// The parameter-only values of a plan that are worth keeping from step to step: computed or put in another order, from states that
/// the plan itself leaves alone. A single element is computed wherever it is used.
fn kept(plan: &Plan, forms: &HashMap<NodeId, Form>) -> Vec<usize> {
    let changes = |state: &StateId| plan.assigns.iter().any(|a| a.state == *state);
    let heavy = |id: &NodeId| matches!(forms.get(id), Some(Form::Kernels(_) | Form::Host));
    let moves = |id: &NodeId| {
        let form = forms.get(id);
        plan.graph.spec(*id).len() > 1 && matches!(form, Some(Form::Elementwise(_) | Form::View(Rearrange::Permute(_))))
    };
    let worth = |&i: &usize| {
        let value = &plan.parameter_only[i];
        !value.states.iter().any(changes) && value.needs.iter().any(|id| heavy(id) || moves(id))
    };
    (0..plan.parameter_only.len()).filter(worth).collect()
}

/// Which nodes the planner computes sample by sample.
fn of_samples(plan: &Plan) -> Vec<bool> {
    let mut of_samples = vec![false; plan.graph.nodes().len()];
    for stage in &plan.stages {
        let Stage::Segment(segment) = stage else { continue };
        let pieces = segment.pieces.iter().filter(|piece| !segment.flat && piece.slots.is_none());
        pieces.for_each(|piece| of_samples[piece.node] = true);
    }
    of_samples
}

/// The forms of all nodes that a plan runs.
fn forms(plan: &Plan) -> Result<HashMap<NodeId, Form>> {
    let graph = &plan.graph;
    let mut forms = HashMap::new();
    for (id, node) in graph.nodes().iter().enumerate() {
        let Kind::Op(op) = &node.kind else { continue };
        let specs: Vec<&Spec> = node.inputs.iter().map(|&i| graph.spec(i)).collect();
        let fits = specs.iter().chain([&&node.spec]).all(|s| s.len() < u32::MAX as usize);
        if !fits {
            let shapes = specs.iter().map(|s| s.shape.clone()).collect();
            let message = "a tensor of 2^32 elements or more does not fit a GPU's indices: use a smaller batch";
            return Err(Error::new(tslip_graph::Code::OutOfMemory, message).of_op(op.name(), shapes));
        }
        let shapes = || specs.iter().map(|s| s.shape.clone()).collect();
        forms.insert(id, op.gpu(&specs, &node.spec).map_err(|e| e.of_op(op.name(), shapes()))?);
    }
    Ok(forms)
}

/// What a plan is lowered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The kept values are there from an earlier run; else they are computed and kept.
    pub known: bool,
    /// Outputs are written to a location of their own like states; else they are where they were computed.
    pub held: bool,
}

/// The dispatches of a plan, made once for each variant.
#[derive(Debug, Default)]
pub struct Lowerings([OnceLock<Arc<Lowered>>; 4]);

impl Lowerings {
    /// Those of a variant; `plan` is always the same.
    pub fn of(&self, plan: &Plan, variant: Variant) -> Result<Arc<Lowered>> {
        let made = &self.0[usize::from(variant.known) + 2 * usize::from(variant.held)];
        if let Some(lowered) = made.get() {
            return Ok(lowered.clone());
        }
        let lowered = Arc::new(lower(plan, variant)?);
        Ok(made.get_or_init(|| lowered).clone())
    }
}

fn lower(plan: &Plan, Variant { known, held }: Variant) -> Result<Lowered> {
    if plan.assigns.iter().any(|assign| assign.unless.is_some()) {
        return Err(Error::argument("a GPU assigns without conditions: choose between the old value and the new one"));
    }
    let forms = forms(plan)?;
    let kept = kept(plan, &forms);
    let mut lowering = Lowering {
        plan,
        of_samples: of_samples(plan),
        values: Vec::new(),
        seen: HashMap::new(),
        copies: HashMap::new(),
    };
    if known {
        for &index in &kept {
            let node = plan.parameter_only[index].node;
            lowering.leaf(node, Location::Kept(index));
        }
    }
    let roots: Vec<NodeId> = plan.outputs.iter().copied().chain(plan.assigns.iter().map(|a| a.value)).collect();
    let also: Vec<NodeId> =
        if known { Vec::new() } else { kept.iter().map(|&i| plan.parameter_only[i].node).collect() };
    lowering.nodes(&forms, &[roots, also.clone()].concat());
    let found: &[NodeId] = if held { &[] } else { &plan.outputs };
    let outputs: Vec<Access> = found.iter().map(|&id| lowering.output(id)).collect();
    let mut end = 0;
    let result = |&id: &NodeId| {
        end += plan.graph.spec(id).len();
        (id, Location::Result(end - plan.graph.spec(id).len()))
    };
    let results: Vec<(NodeId, Location)> = if held { plan.outputs.iter().map(result).collect() } else { Vec::new() };
    let targets = plan.assigns.iter().map(|a| (a.value, Location::State(a.state))).chain(results.iter().copied());
    let targets: Vec<(NodeId, Location)> =
        targets.chain(kept.iter().zip(also).map(|(&index, node)| (node, Location::Kept(index)))).collect();
    lowering.targets(&targets);
    let mut values = lowering.values;
    forget_unread(&mut values);
    levels::assign(&mut values);
    let groups = levels::groups(&values);
    let (locations, arena) = memory::locations(&values, &groups, &outputs);
    let at = |value: usize| locations[value].unwrap_or_else(|| unreachable!("value {value} is read but not stored"));
    let hosts = values.iter().enumerate().filter_map(|(v, value)| match value.computation {
        Computation::Host(node) if locations[v].is_some() => Some((node, at(v))),
        _ => None,
    });
    Ok(Lowered {
        hosts: hosts.collect(),
        outputs: (outputs.iter().map(|access| (at(access.source), access.offset)))
            .chain(results.iter().map(|&(_, location)| (location, 0)))
            .collect(),
        dispatches: dispatches(&values, &groups, &locations),
        arena,
        kept,
    })
}

/// Leaves out what no result needs: ops that are computed in another order where they are read.
fn forget_unread(values: &mut [Value]) {
    let mut read: Vec<bool> = values.iter().map(|value| value.root).collect();
    for v in (0..values.len()).rev() {
        match read[v] {
            true => values[v].operands().iter().for_each(|access| read[access.source] = true),
            false => values[v].computation = Computation::Nothing,
        }
    }
}

/// Everything that runs, level by level; grids of one kernel together.
fn dispatches(values: &[Value], groups: &[levels::Group], locations: &[Option<Location>]) -> Vec<Dispatch> {
    let mut levels: BTreeMap<usize, Vec<Dispatch>> = BTreeMap::new();
    let mut add = |level: usize, name: &dyn Fn() -> String, text: String, grid: Grid, cost: Cost| {
        if grid.groups == 0 {
            return;
        }
        let at_level = levels.entry(level).or_default();
        match at_level.iter_mut().find(|d| d.text == text) {
            Some(dispatch) => {
                dispatch.grids.push(grid);
                dispatch.cost += cost;
            }
            None => at_level.push(Dispatch { name: name(), text, grids: vec![grid], cost }),
        }
    };
    for group in groups {
        let (text, grid) = emit::kernel(values, group, locations);
        add(group.level, &|| emit::name(values, group), text, grid, cost::of_group(values, group));
    }
    for (v, value) in values.iter().enumerate() {
        let Computation::Kernels { launches, operands } = &value.computation else { continue };
        let (Some(output), Some(scratch)) = (locations[v], memory::scratch(locations, values.len(), v)) else {
            continue;
        };
        let cost = cost::of_op(values, value);
        for (k, launch) in launches.iter().enumerate() {
            let word = |argument: &Argument| match *argument {
                Argument::Input(i) => {
                    let location =
                        locations[operands[i].source].unwrap_or_else(|| unreachable!("operands of kernels are stored"));
                    Word::At(location, operands[i].offset)
                }
                Argument::Output => Word::At(output, 0),
                Argument::Scratch { at, .. } => Word::At(scratch, at),
                Argument::Word(word) => Word::Plain(word),
            };
            let grid = Grid { words: launch.arguments.iter().map(word).collect(), groups: launch.groups };
            add(
                value.level + k,
                &|| launch.kernel.name.to_string(),
                wgsl::module(&launch.kernel),
                grid,
                cost.share(k, launches.len()),
            );
        }
    }
    levels.into_values().flatten().collect()
}
