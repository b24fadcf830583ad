//! The engine as JavaScript sees it: states, data sets, plans and jobs.
use napi::JsDeferred;
use napi::bindgen_prelude::{
    Either, Env, Float32Array, Float64Array, FnArgs, Function, Object, Uint8Array, Uint8ArraySlice, Uint32Array,
};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tslip_engine::{
    Dataset, DatasetFeed, GraphDescription, JobRequest, OnProgress, PlanInfo, RunResult, StretchRequest, TableRequest,
    UntilRequest,
};
use tslip_graph::{Accuracy, Error, Measured, Op, Result, Spec};

use crate::convert::{OutputBytes, TensorSpec, dtype, js_error, number, shape, size, spec, tensor_spec};

/// Infers shape and element type of an op's result; throws with the op and all shapes.
#[napi(catch_unwind)]
pub fn infer_shape(op: String, attributes: String, inputs: Vec<TensorSpec>) -> napi::Result<TensorSpec> {
    let infer = || {
        let specs: Vec<Spec> = inputs.iter().map(spec).collect::<Result<_>>()?;
        tslip_graph::graph::infer(made(&op, &attributes)?.as_ref(), &specs.iter().collect::<Vec<_>>())
    };
    infer().map(|s| tensor_spec(&s)).map_err(js_error)
}

/// What bounds of rounding may count on in an op.
#[napi(object, object_from_js = false)]
pub struct OpAccuracy {
    /// "exact", "summed", "function" or "unknown".
    pub kind: String,
    /// Of a function, the field of a device's arithmetic that has its error there.
    pub measured: Option<String>,
    /// Of a function, its error on the CPU in units in the last place.
    pub ulps: Option<f64>,
}

/// How exact the kernels of an op are, as it declares.
#[napi(catch_unwind)]
pub fn op_accuracy(op: String, attributes: String) -> napi::Result<OpAccuracy> {
    let accuracy = made(&op, &attributes).map_err(js_error)?.accuracy();
    let plain = |kind: &str| OpAccuracy { kind: kind.into(), measured: None, ulps: None };
    Ok(match accuracy {
        Accuracy::Exact => plain("exact"),
        Accuracy::Summed => plain("summed"),
        Accuracy::Unknown => plain("unknown"),
        Accuracy::Function(measured, ulps) => {
            let measured = match measured {
                Measured::Division => "divisionUlps",
                Measured::Sqrt => "sqrtUlps",
                Measured::Exp => "expUlps",
                Measured::Log => "logUlps",
                Measured::Tanh => "tanhUlps",
                Measured::Sigmoid => "sigmoidUlps",
                Measured::Atanh => "atanhUlps",
                Measured::Pow => "powUlps",
            };
            OpAccuracy { kind: "function".into(), measured: Some(measured.into()), ulps: Some(ulps) }
        }
    })
}

fn made(op: &str, attributes: &str) -> Result<Arc<dyn Op>> {
    let attributes = serde_json::from_str(attributes)
        .map_err(|e| Error::argument(format!("the attributes of {op} are not JSON: {e}")))?;
    tslip_ops::registry().make(op, &attributes)
}

/// Cancels the job it was given to, from any thread, within a few milliseconds.
#[napi]
pub struct CancelToken(Arc<AtomicBool>);

#[napi]
impl CancelToken {
    /// A token that is not cancelled.
    #[napi(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        CancelToken(Arc::default())
    }

    /// Cancels.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl CancelToken {
    /// What is true once it is cancelled.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

/// A compiled plan.
#[napi(object)]
pub struct Compiled {
    /// Its number.
    pub plan: u32,
    /// What it returns.
    pub outputs: Vec<TensorSpec>,
}

/// Bytes that a plan takes on a GPU.
#[napi(object, object_from_js = false)]
pub struct Footprint {
    /// What lives during a step; all plans have it in common.
    pub arena: f64,
    /// Its states; other plans may use them too.
    pub states: f64,
    /// Its inputs, and the parameter-only values that it keeps.
    pub own: f64,
}

/// A plan and how many times in a row it is run.
#[napi(object)]
pub struct JobStretch {
    /// Number of the plan.
    pub plan: f64,
    /// Steps.
    pub steps: f64,
    /// Bytes of each input by its index; empty where the data set feeds it.
    pub inputs: Vec<Uint8Array>,
}

/// Shape and element type of what a data set has for each sample.
#[napi(object)]
pub struct SampleSpec {
    /// Name of the element type.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<f64>,
}

/// Where the samples of each step come from.
#[napi(object)]
pub struct JobDataset {
    /// Number of the data set.
    pub id: f64,
    /// Sample indices; each step takes as many as its plan has samples.
    pub order: Uint32Array,
    /// Which input the images are.
    pub image_input: f64,
    /// Which input the targets are.
    pub target_input: f64,
}

/// Values that a 0-d f32 state takes, one before each step.
#[napi(object)]
pub struct JobTable {
    /// Number of the state.
    pub state: f64,
    /// One value a step.
    pub values: Float32Array,
}

/// When to stop early.
#[napi(object)]
pub struct JobUntil {
    /// Number of a 0-d boolean state.
    pub state: f64,
    /// Looked at after every so many steps.
    pub check_every: f64,
}

/// Plans run for many steps in one call.
#[napi(object)]
pub struct Job {
    /// Plans and steps, one after another.
    pub stretches: Vec<JobStretch>,
    /// Where samples come from.
    pub dataset: Option<JobDataset>,
    /// Scalars that vary from step to step.
    pub tables: Vec<JobTable>,
    /// When to stop early.
    pub until: Option<JobUntil>,
    /// Whether to measure the time of each node.
    pub profile: Option<bool>,
    /// Whether the caller's thread may do it if it is small.
    pub here: Option<bool>,
    /// States of which the result tells what versions of them the last step found.
    pub versions_of: Option<Vec<f64>>,
}

/// What a finished job hands back.
#[napi(object, object_from_js = false)]
pub struct JobResult {
    /// Outputs of the last step.
    #[napi(ts_type = "Array<Uint8Array>")]
    pub outputs: Vec<OutputBytes>,
    /// For each step the outputs that are 0-d f32, row-major.
    pub scalars: Float64Array,
    /// Steps that were run.
    pub steps: f64,
    /// Of each of `versionsOf` the version that the last step found.
    pub versions: Vec<f64>,
    /// Where time was to be measured, each stretch's plan in words with milliseconds.
    pub profile: String,
}

/// States, plans and data sets of one Node environment, and the thread that runs jobs.
#[napi]
pub struct Engine(tslip_engine::Engine);

type Progress<'a> = Function<'a, FnArgs<(f64, f64, Float64Array)>, ()>;

#[napi]
impl Engine {
    /// Starts the engine's thread.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> napi::Result<Self> {
        tslip_engine::Engine::new().map(Engine).map_err(js_error)
    }

    /// Makes a state, of zeros unless it is given a value, or without one until a step writes it if `pending`; its number.
    #[napi(catch_unwind)]
    pub fn create_state(
        &self,
        env: &Env,
        dtype: String,
        shape: Vec<f64>,
        data: Option<Uint8Array>,
        pending: Option<bool>,
    ) -> napi::Result<u32> {
        let spec = spec(&TensorSpec { shape, dtype }).map_err(js_error)?;
        let bytes = spec.bytes();
        let id = match data {
            Some(data) => self.0.create_state(spec, &data),
            None if pending == Some(true) => self.0.create_pending_state(spec),
            None => self.0.create_zeroed_state(spec),
        };
        let id = id.map_err(js_error)?;
        tell_allocated(env, bytes)?;
        Ok(id)
    }

    /// Forgets a state.
    #[napi(catch_unwind)]
    pub fn free_state(&self, env: &Env, id: f64) -> napi::Result<()> {
        tell_freed(env, self.0.free_state(number(id, "state").map_err(js_error)?))
    }

    /// Numbers that grow whenever these states change.
    #[napi(catch_unwind)]
    pub fn state_versions(&self, ids: Vec<f64>) -> napi::Result<Vec<f64>> {
        let version = |&id: &f64| Ok(self.0.version(number(id, "state")?)? as f64);
        ids.iter().map(version).collect::<Result<_>>().map_err(js_error)
    }

    /// Whether these states have these versions, and no job that is waiting or under way writes one of them.
    #[napi(catch_unwind)]
    pub fn states_stand(&self, ids: Vec<f64>, versions: Vec<f64>) -> napi::Result<bool> {
        let stand = || {
            let ids = ids.iter().map(|&id| number(id, "state")).collect::<Result<Vec<_>>>()?;
            // In this order: what has been written by a job that is over shows in the version.
            if self.0.writes(&ids) {
                return Ok(false);
            }
            for (&id, &version) in ids.iter().zip(&versions) {
                if self.0.version(id)? as f64 != version {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        stand().map_err(js_error)
    }

    /// Takes in images (u8 or f32) and their targets (i32 or f32), each as said; the number of the data set.
    #[napi(catch_unwind)]
    pub fn create_dataset(
        &self,
        env: &Env,
        images: Uint8Array,
        image: SampleSpec,
        targets: Uint8Array,
        target: SampleSpec,
    ) -> napi::Result<u32> {
        let make = || {
            let spec = |of: &SampleSpec| Spec::new(shape(&of.shape)?, dtype(&of.dtype)?).check();
            Dataset::new(spec(&image)?, &images, spec(&target)?, &targets)
        };
        let dataset = make().map_err(js_error)?;
        tell_allocated(env, dataset.bytes())?;
        Ok(self.0.create_dataset(dataset))
    }

    /// Forgets a data set.
    #[napi(catch_unwind)]
    pub fn free_dataset(&self, env: &Env, id: f64) -> napi::Result<()> {
        tell_freed(env, self.0.free_dataset(number(id, "data set").map_err(js_error)?))
    }

    /// Plans a traced function, described in JSON.
    #[napi(catch_unwind)]
    pub fn compile(&self, graph: String) -> napi::Result<Compiled> {
        let compile = || self.0.compile(&described(&graph)?);
        let PlanInfo { number: plan, outputs } = compile().map_err(js_error)?;
        Ok(Compiled { plan, outputs: outputs.iter().map(tensor_spec).collect() })
    }

    /// For each output of a traced function whether its rows are shown to depend on their own sample of the batch alone.
    #[napi(catch_unwind)]
    pub fn separate(&self, graph: String) -> napi::Result<Vec<bool>> {
        described(&graph).and_then(|graph| self.0.separate(&graph)).map_err(js_error)
    }

    /// The outputs of a traced function in float64, by the plain definitions of its ops: slow, for checks.
    #[napi(catch_unwind, ts_return_type = "Array<Float64Array>")]
    pub fn exact(&self, graph: String, inputs: Vec<Uint8ArraySlice<'_>>) -> napi::Result<Vec<Float64Array>> {
        let exact = || {
            let inputs: Vec<&[u8]> = inputs.iter().map(|bytes| &bytes[..]).collect();
            self.0.exact(&described(&graph)?, &inputs)
        };
        exact().map(|outputs| outputs.into_iter().map(Float64Array::new).collect()).map_err(js_error)
    }

    /// Forgets a plan.
    #[napi(catch_unwind)]
    pub fn free_plan(&self, plan: f64) -> napi::Result<()> {
        self.0.free_plan(number(plan, "plan").map_err(js_error)?);
        Ok(())
    }

    /// A plan as text: stages, chunks, bytes and floating-point operations.
    #[napi(catch_unwind)]
    pub fn explain(&self, plan: f64) -> napi::Result<String> {
        number(plan, "plan").and_then(|p| self.0.explain(p)).map_err(js_error)
    }

    /// Floating-point operations of a step of a plan by the name of the op; parameter-only values are left out.
    #[napi(catch_unwind)]
    pub fn flops(&self, plan: f64) -> napi::Result<HashMap<String, f64>> {
        let flops = number(plan, "plan").and_then(|p| self.0.flops(p)).map_err(js_error)?;
        Ok(flops.into_iter().map(|(op, count)| (op.to_string(), count as f64)).collect())
    }

    /// Bytes that a plan takes on its GPU; the data set that feeds it is not among them.
    #[napi(catch_unwind)]
    pub fn footprint(&self, plan: f64) -> napi::Result<Footprint> {
        let found = number(plan, "plan").and_then(|p| self.0.footprint(p)).map_err(js_error)?;
        Ok(Footprint { arena: found.arena as f64, states: found.states as f64, own: found.own as f64 })
    }

    /// Runs a job on the engine's thread; a small one that says so here and now, if nothing else is under way.
    #[napi(
        catch_unwind,
        ts_args_type = "job: Job, token?: CancelToken | undefined | null, onProgress?: ((step: number, total: number, scalars: Float64Array) => void) | undefined | null",
        ts_return_type = "JobResult | Promise<JobResult>"
    )]
    pub fn run<'env>(
        &self,
        env: &'env Env,
        job: Job,
        token: Option<&CancelToken>,
        on_progress: Option<Progress<'_>>,
    ) -> napi::Result<Either<JobResult, Object<'env>>> {
        let request = request(job, &self.0).map_err(js_error)?;
        let reports = on_progress.is_some();
        let on_progress = on_progress.map(progress).transpose()?;
        let cancel = token.map(|t| t.0.clone()).unwrap_or_default();
        let outcome = Arc::new(Mutex::new(Outcome::Open));
        let of_job = outcome.clone();
        let done = Box::new(move |result: Result<RunResult>| {
            let mut outcome = of_job.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *outcome, Outcome::Open) {
                Outcome::Promised(deferred) => settle(deferred, result),
                _ => *outcome = Outcome::Known(result),
            }
        });
        self.0.run(request, cancel, on_progress, done).map_err(js_error)?;
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match std::mem::replace(&mut *outcome, Outcome::Open) {
            // Reports of progress are on their way, and the result comes after them.
            Outcome::Known(result) if reports => Some(result),
            Outcome::Known(result) => return result.map(|r| Either::A(job_result(r))).map_err(js_error),
            _ => None,
        };
        let (deferred, promise) = env.create_deferred()?;
        match known {
            Some(result) => settle(deferred, result),
            None => *outcome = Outcome::Promised(deferred),
        }
        Ok(Either::B(promise))
    }

    /// Cancels all jobs and waits until nothing is under way, on a GPU neither: before the process exits.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Runs one step of a plan and waits for its outputs; jobs under way give way after the step they are in.
    #[napi(catch_unwind, ts_return_type = "Array<Uint8Array>")]
    pub fn step(&self, plan: f64, inputs: Vec<Uint8ArraySlice<'_>>) -> napi::Result<Vec<OutputBytes>> {
        let step = || {
            let inputs = inputs.iter().map(|bytes| self.0.input(bytes)).collect::<Result<_>>()?;
            let stretches = vec![StretchRequest { plan: number(plan, "plan")?, steps: 1, inputs }];
            self.0.run_sync(JobRequest { stretches, ..JobRequest::default() })
        };
        step().map(|result| output_bytes(result.outputs)).map_err(js_error)
    }
}

fn described(graph: &str) -> Result<GraphDescription> {
    serde_json::from_str(graph).map_err(|e| Error::argument(format!("the description of the graph is not valid: {e}")))
}

type Deferred = JsDeferred<JobResult, Box<dyn FnOnce(Env) -> napi::Result<JobResult>>>;

/// What is known of a job when its promise is made: it may have ended before.
enum Outcome {
    Open,
    Known(Result<RunResult>),
    Promised(Deferred),
}

fn settle(deferred: Deferred, result: Result<RunResult>) {
    match result {
        Ok(result) => deferred.resolve(Box::new(move |_| Ok(job_result(result)))),
        Err(e) => deferred.reject(js_error(e)),
    }
}

/// Tells V8 of memory that a small JavaScript object keeps, so that it collects such objects in time.
fn tell_allocated(env: &Env, bytes: usize) -> napi::Result<()> {
    env.adjust_external_memory(bytes as i64).map(drop)
}

fn tell_freed(env: &Env, bytes: usize) -> napi::Result<()> {
    env.adjust_external_memory(-(bytes as i64)).map(drop)
}

fn progress(callback: Progress<'_>) -> napi::Result<OnProgress> {
    let call = callback.build_threadsafe_function().weak::<true>().build()?;
    Ok(Box::new(move |step, total, scalars| {
        let arguments = FnArgs::from((step as f64, total as f64, Float64Array::new(scalars.to_vec())));
        // A report that cannot be delivered, because the environment is going away, is not worth an error.
        let _ = call.call(arguments, ThreadsafeFunctionCallMode::NonBlocking);
    }))
}

fn output_bytes(outputs: Vec<Vec<u8>>) -> Vec<OutputBytes> {
    outputs.into_iter().map(OutputBytes).collect()
}

fn job_result(result: RunResult) -> JobResult {
    JobResult {
        outputs: output_bytes(result.outputs),
        scalars: Float64Array::new(result.scalars),
        steps: result.steps as f64,
        versions: result.versions.into_iter().map(|version| version as f64).collect(),
        profile: result.profile,
    }
}

fn request(job: Job, engine: &tslip_engine::Engine) -> Result<JobRequest> {
    let stretch = |s: &JobStretch| {
        let inputs = s.inputs.iter().map(|bytes| engine.input(bytes)).collect::<Result<_>>()?;
        Ok(StretchRequest { plan: number(s.plan, "plan")?, steps: size(s.steps, "steps")?, inputs })
    };
    let table = |t: &JobTable| Ok(TableRequest { state: number(t.state, "state")?, values: t.values.to_vec() });
    Ok(JobRequest {
        stretches: job.stretches.iter().map(stretch).collect::<Result<_>>()?,
        dataset: match job.dataset {
            Some(d) => Some(DatasetFeed {
                id: number(d.id, "data set")?,
                order: d.order.to_vec(),
                image_input: size(d.image_input, "imageInput")?,
                target_input: size(d.target_input, "targetInput")?,
            }),
            None => None,
        },
        tables: job.tables.iter().map(table).collect::<Result<_>>()?,
        until: match job.until {
            Some(u) => {
                Some(UntilRequest { state: number(u.state, "state")?, check_every: size(u.check_every, "checkEvery")? })
            }
            None => None,
        },
        profile: job.profile.unwrap_or(false),
        here: job.here.unwrap_or(false),
        versions_of: job
            .versions_of
            .unwrap_or_default()
            .iter()
            .map(|&id| number(id, "state"))
            .collect::<Result<_>>()?,
    })
}
