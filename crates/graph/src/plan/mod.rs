//! From a graph to the order, the places and the pieces in which it is run.
//!
//! Nodes that treat samples independently are gathered in segments that run a few samples at a time, forward and then
//! backward, so that their values stay in cache and memory does not grow with the batch; a reduction over the samples
//! is a barrier only for what uses its value. Everything here is a function of the graph and its shapes alone.
mod count;
mod cut;
mod explain;
mod flat;
mod layout;
pub mod memory;
mod place;
mod profile;
mod schedule;
mod separate;

use crate::arrange::{arrange, live};
use crate::error::{Error, Result};
use crate::fuse::fuse;
use crate::graph::{Graph, NodeId};
pub use layout::{Assign, Cut, Layout, ParameterOnly, Piece, Place, Segment, Stage};
pub use profile::Profile;
use schedule::Schedule;

/// What a plan is asked to compute.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Values to hand back.
    pub outputs: Vec<NodeId>,
    /// What states are set to at the end of the step; all of it reads their old values.
    pub assigns: Vec<Assign>,
    /// Number of samples along axis 0 of batched leaves.
    pub batch: Option<usize>,
}

/// How a request is run: a [`Layout`] that nobody can change once it was made, as executors write to memory where it says.
#[derive(Clone, Debug)]
pub struct Plan(Layout);

impl std::ops::Deref for Plan {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.0
    }
}

/// For each output of a request whether it has rows for each sample that are shown to depend on that sample alone.
pub fn separate(graph: &Graph, request: &Request) -> Result<Vec<bool>> {
    let (graph, schedule) = scheduled(graph, request)?;
    let outputs = &schedule.roots[..request.outputs.len()];
    Ok(separate::separate(&graph, &schedule, outputs, request.batch.unwrap_or(1)))
}

/// What is asked for, then what is assigned, then what decides whether it is.
fn roots_of(request: &Request) -> Vec<NodeId> {
    let values = request.assigns.iter().map(|a| a.value);
    let conditions = request.assigns.iter().filter_map(|a| a.unless);
    request.outputs.iter().copied().chain(values).chain(conditions).collect()
}

/// A graph as it is run, and what is run when.
fn scheduled(graph: &Graph, request: &Request) -> Result<(Graph, Schedule)> {
    if request.batch == Some(0) {
        return Err(Error::argument("the batch is empty: give at least one sample"));
    }
    let (graph, roots) = arrange(graph, &roots_of(request))?;
    let (graph, roots) = fuse(&graph, &roots)?;
    let order = live(&graph, &roots);
    let schedule = Schedule::new(&graph, &order, &roots, request.batch.unwrap_or(1));
    Ok((graph, schedule))
}

impl Plan {
    /// Plans a request.
    pub fn new(graph: &Graph, request: &Request) -> Result<Plan> {
        let flops_by_op = count::flops_by_op(graph, &roots_of(request));
        let (graph, schedule) = scheduled(graph, request)?;
        let (outputs, rest) = schedule.roots.split_at(request.outputs.len());
        let (values, conditions) = rest.split_at(request.assigns.len());
        let mut conditions = conditions.iter().copied();
        let assigns = request.assigns.iter().zip(values).map(|(assign, &value)| Assign {
            state: assign.state,
            value,
            unless: assign.unless.and_then(|_| conditions.next()),
        });
        let mut layout = Layout {
            batch: request.batch.unwrap_or(1),
            outputs: outputs.to_vec(),
            assigns: assigns.collect(),
            parameter_only: schedule.parameter_only(&graph),
            stages: schedule.stages(&graph),
            places: vec![Place::Unused; graph.nodes().len()],
            main_bytes: 0,
            scratch: 0,
            flops_by_op,
            graph,
        };
        place::place(&mut layout, &schedule);
        Ok(Plan(layout))
    }
}
