//! One step of a plan: reading leaves, running, and committing what it assigns all at once.
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLockReadGuard, Weak};
use tslip_cpu::executor::memory::{Bytes, vec_of};
use tslip_cpu::executor::{Executor, Leaves};
use tslip_gpu::States;
use tslip_graph::plan::{Assign, Place, Profile};
use tslip_graph::{DType, Error, Kind, Node, Plan, Result, Spec, StateId};
use tslip_lower::{Lowerings, Variant};

use crate::state::State;

/// A plan with the states it reads and writes.
#[derive(Debug)]
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Positions of the outputs that are 0-d f32.
    pub scalar_outputs: Vec<usize>,
    /// Whether a step takes so little time that handing it to another thread would take longer.
    pub tiny: bool,
    /// The GPU that runs it; the CPU where there is none.
    pub gpu: Option<usize>,
    /// What it is on its GPU.
    pub(crate) lowered: Lowerings,
    /// Ends when the plan does.
    pub(crate) life: Arc<()>,
    /// In the order of their numbers.
    states: Vec<(StateId, Arc<State>)>,
    /// Their numbers, and whether the plan reads them.
    uses: Vec<(StateId, bool)>,
}

/// A step that computes everything.
const FRESH: Variant = Variant { known: false, held: false };

/// To wake a thread and to be woken by it takes up to 80 microseconds; a user's thread can spare so much of one core, and no
/// timer notices.
const TINY_NANOSECONDS: f64 = 200_000.0;

impl Prepared {
    /// Holds on to the states of a plan.
    pub fn new(plan: Plan, gpu: Option<usize>, state: impl Fn(StateId) -> Result<Arc<State>>) -> Result<Self> {
        let of_node = |n: &Node| match n.kind {
            Kind::State { id, .. } => Some(id),
            _ => None,
        };
        let read: Vec<StateId> = plan.graph.nodes().iter().filter_map(of_node).collect();
        let written = plan.assigns.iter().map(|a| a.state);
        let mut ids: Vec<StateId> = read.iter().copied().chain(written).collect();
        ids.sort_unstable();
        ids.dedup();
        let uses = ids.iter().map(|id| (*id, read.contains(id))).collect();
        let states = ids.into_iter().map(|id| Ok((id, state(id)?))).collect::<Result<_>>()?;
        let scalar = |&node: &usize| plan.graph.spec(node).dtype == DType::F32 && plan.graph.shape(node).is_empty();
        let scalar_outputs = (0..plan.outputs.len()).filter(|&i| scalar(&plan.outputs[i])).collect();
        let tiny = gpu.is_none() && plan.nanoseconds() <= TINY_NANOSECONDS;
        Ok(Prepared {
            plan,
            scalar_outputs,
            tiny,
            gpu,
            lowered: Lowerings::default(),
            life: Arc::default(),
            states,
            uses,
        })
    }

    /// The states whose newest value a step reads but some GPU other than `here` has.
    pub(crate) fn away(&self, here: Option<usize>) -> impl Iterator<Item = (usize, &State)> {
        let read = self.states.iter().zip(&self.uses).filter(|(_, (_, read))| *read);
        read.filter_map(move |((_, state), _)| Some((state.away().filter(|&gpu| Some(gpu) != here)?, &**state)))
    }

    /// Refuses a step that reads a state without a value.
    pub(crate) fn check_written(&self) -> Result<()> {
        let read = self.states.iter().zip(&self.uses).filter(|(_, (_, read))| *read);
        match read.map(|(state, _)| state).find(|(_, state)| state.version() == 0) {
            None => Ok(()),
            Some((id, _)) => Err(Error::argument(format!(
                "state {id} has no value: what it was to start from could not be computed; call again, or assign to it"
            ))),
        }
    }

    /// Whether a step reads or writes a state.
    pub(crate) fn involves(&self, id: StateId) -> bool {
        self.states.binary_search_by_key(&id, |s| s.0).is_ok()
    }

    /// The plan as text: what runs, in order.
    pub fn explain(&self) -> Result<String> {
        match self.gpu {
            None => Ok(self.plan.explain(None)),
            Some(_) => Ok(self.lowered.of(&self.plan, FRESH)?.explain(&self.plan, &[])),
        }
    }

    /// Lowers the plan where it is one of a GPU: what cannot run there is told of.
    pub fn check(&self) -> Result<()> {
        self.gpu.map_or(Ok(()), |_| self.lowered.of(&self.plan, FRESH).map(drop))
    }

    fn state(&self, id: StateId) -> &State {
        &self.states[find(&self.states, |s| s.0, id)].1
    }
}

impl States for Prepared {
    fn uses(&self) -> &[(StateId, bool)] {
        &self.uses
    }

    fn life(&self, id: StateId) -> Weak<()> {
        self.state(id).life()
    }

    fn spec(&self, id: StateId) -> &Spec {
        &self.state(id).spec
    }

    fn version(&self, id: StateId) -> u64 {
        self.state(id).version()
    }

    fn read(&self, id: StateId, with: &mut dyn FnMut(&[u8])) -> bool {
        let state = self.state(id);
        let home = state.away().is_none();
        if home {
            with(state.read().as_ref());
        }
        home
    }

    fn advance(&self, id: StateId) -> u64 {
        self.state(id).advance(self.gpu.unwrap_or_default())
    }
}

/// A step with all its states held still.
pub struct Step<'a> {
    prepared: &'a Prepared,
    held: Held<'a>,
}

struct Held<'a> {
    inputs: &'a [Bytes],
    states: Vec<(StateId, RwLockReadGuard<'a, Bytes>, u64)>,
}

impl Leaves for Held<'_> {
    fn input(&self, index: usize) -> &[u8] {
        self.inputs.get(index).map_or(&[], |b| b.as_ref())
    }

    fn state(&self, id: StateId) -> &[u8] {
        self.states[find(&self.states, |s| s.0, id)].1.as_ref()
    }

    fn version(&self, id: StateId) -> u64 {
        self.states[find(&self.states, |s| s.0, id)].2
    }
}

/// Where a state of the plan is; the executor asks for each at every node that reads it.
fn find<T>(states: &[T], number: impl Fn(&T) -> StateId, id: StateId) -> usize {
    states.binary_search_by_key(&id, number).unwrap_or_else(|_| unreachable!("a plan reads and writes its own states"))
}

/// Values that are states of their own, taken before anything is written.
pub struct Changes(Vec<(StateId, Source)>);

enum Source {
    Node(usize),
    Copy(Vec<u8>),
}

impl<'a> Step<'a> {
    /// Holds the states of a plan.
    pub fn new(prepared: &'a Prepared, inputs: &'a [Bytes]) -> Self {
        let states = prepared.states.iter().map(|(id, s)| (*id, s.read(), s.version())).collect();
        Step { prepared, held: Held { inputs, states } }
    }

    /// Runs the plan, measured if there is a profile.
    pub fn run(&self, executor: &mut Executor, cancel: &AtomicBool, profile: Option<&Profile>) -> Result<()> {
        executor.run(&self.prepared.plan, &self.held, cancel, profile)
    }

    /// Whether all parameter-only values are known.
    pub fn known(&self, executor: &Executor) -> bool {
        executor.knows(&self.prepared.plan, &self.held)
    }

    /// Appends the outputs that are 0-d f32.
    pub fn scalars(&self, executor: &Executor, to: &mut Vec<f64>) {
        for &i in &self.prepared.scalar_outputs {
            let bytes = self.value(executor, self.prepared.plan.outputs[i]);
            to.push(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as f64);
        }
    }

    /// Copies of all outputs.
    pub fn outputs(&self, executor: &Executor) -> Result<Vec<Vec<u8>>> {
        let copy = |&node: &usize| {
            let value = self.value(executor, node);
            let mut out = vec_of(value.len())?;
            out.extend_from_slice(value);
            Ok(out)
        };
        self.prepared.plan.outputs.iter().map(copy).collect()
    }

    /// What a state will hold after this step.
    pub fn after(&self, executor: &Executor, state: &State) -> Vec<u8> {
        match self.prepared.plan.assigns.iter().find(|a| a.state == state.id && !self.stays(executor, a)) {
            Some(assign) => self.value(executor, assign.value).to_vec(),
            None => state.read().as_ref().to_vec(),
        }
    }

    /// What is to be written; a state that takes another's old value gets it even if that one changes too.
    pub fn changes(&self, executor: &Executor) -> Changes {
        let plan = &self.prepared.plan;
        let source = |node: usize| match plan.places[node] {
            Place::Leaf => Source::Copy(self.value(executor, node).to_vec()),
            _ => Source::Node(node),
        };
        let changing = plan.assigns.iter().filter(|assign| !self.stays(executor, assign));
        Changes(changing.map(|assign| (assign.state, source(assign.value))).collect())
    }

    /// Whether the step leaves what it might have assigned as it was.
    fn stays(&self, executor: &Executor, assign: &Assign) -> bool {
        assign.unless.is_some_and(|condition| self.value(executor, condition)[0] != 0)
    }

    fn value<'b>(&'b self, executor: &'b Executor, node: usize) -> &'b [u8] {
        executor.value(&self.prepared.plan, &self.held, node)
    }
}

impl Changes {
    /// Writes all states of a step that has run.
    pub fn commit(&self, prepared: &Prepared, executor: &Executor) {
        for (id, source) in &self.0 {
            let state = &prepared.states[find(&prepared.states, |s| s.0, *id)].1;
            match source {
                Source::Copy(bytes) => state.write(bytes),
                Source::Node(node) => state.write(executor.computed(&prepared.plan, *node)),
            }
        }
    }
}

/// The error for a state that does not exist.
pub fn no_state(id: StateId) -> Error {
    Error::argument(format!("there is no state {id}: was it freed?"))
}
