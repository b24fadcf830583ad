//! Proved bounds and certificates, as JavaScript sees them.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Float64Array, Float64ArraySlice, Int32Array, Uint8Array};
use napi::{Env, Task};
use napi_derive::napi;
use serde::Deserialize;
use tslip_certify::{
    Certificates, Claim, ConvolutionOptions, Everywhere, Head, HeadKind, LocalNetwork, OutputBound, Piece, Sample,
    Slack, Spreads, Step, conv2d_gain_upper, conv2d_lipschitz_upper,
};
use tslip_cpu::pool::pool;
use tslip_graph::{Code, Error, Result};

use crate::convert::{guarded, js_error, shape, size};

/// Options of [`certificate_radius`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RadiusOptions {
    kind: HeadKind,
    lipschitz: f64,
}

/// One certificate a row of logits.
#[napi(object, object_from_js = false)]
pub struct Radii {
    /// The largest logit, the first of ties.
    pub predicted: Int32Array,
    /// The second largest; -1 where there is one class.
    pub runner_up: Int32Array,
    /// Their difference.
    pub margin: Float64Array,
    /// No perturbation of smaller L2 norm changes the prediction.
    pub radius: Float64Array,
}

/// A linear map of which the largest singular value is bounded.
pub enum Map {
    /// A matrix `[rows, cols]`.
    Matrix(Vec<f32>, usize, usize),
    /// A convolution with OIHW weights, and of which of its norms a bound is proved.
    Convolution(Vec<f32>, Vec<usize>, ConvolutionOptions, ConvolutionBound),
}

/// A bound of a norm of a convolution.
type ConvolutionBound = fn(&[f32], &[usize], &ConvolutionOptions) -> tslip_certify::Result<f64>;

impl Map {
    fn matrix(weight: &[u8], rows: f64, cols: f64) -> napi::Result<Map> {
        let map = || Ok(Map::Matrix(floats(weight)?, size(rows, "rows")?, size(cols, "cols")?));
        map().map_err(js_error)
    }

    fn convolution(weight: &[u8], shape: &[f64], options: &str, bound: ConvolutionBound) -> napi::Result<Map> {
        let map = || Ok(Map::Convolution(floats(weight)?, self::shape(shape)?, parse(options)?, bound));
        map().map_err(js_error)
    }

    fn norm_upper(&self) -> napi::Result<f64> {
        let bound = match self {
            Map::Matrix(weight, rows, cols) => tslip_certify::spectral_norm_upper(weight, *rows, *cols),
            Map::Convolution(weight, shape, options, bound) => bound(weight, shape, options),
        };
        bound.map_err(|e| js_error(certify_error(e)))
    }
}

impl Task for Map {
    type Output = f64;
    type JsValue = f64;

    fn compute(&mut self) -> napi::Result<f64> {
        guarded("the proof of a norm", || self.norm_upper())
    }

    fn resolve(&mut self, _env: Env, bound: f64) -> napi::Result<f64> {
        Ok(bound)
    }
}

/// A proved upper bound of the spectral norm of an f32 matrix.
#[napi(catch_unwind)]
pub fn spectral_norm_upper_bound(weight: Uint8Array, rows: f64, cols: f64) -> napi::Result<f64> {
    Map::matrix(&weight, rows, cols)?.norm_upper()
}

/// The same on a thread of Node's pool.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn prove_spectral_norm_upper_bound(weight: Uint8Array, rows: f64, cols: f64) -> napi::Result<AsyncTask<Map>> {
    Ok(AsyncTask::new(Map::matrix(&weight, rows, cols)?))
}

/// A proved upper bound of the L2 Lipschitz constant of a convolution with OIHW f32 weights, of what is proved soon; options are JSON.
#[napi(js_name = "conv2dLipschitzUpperBound", catch_unwind)]
pub fn conv2d_lipschitz_upper_bound(weight: Uint8Array, shape: Vec<f64>, options: String) -> napi::Result<f64> {
    let bound = |weight: &[f32], shape: &[usize], options: &ConvolutionOptions| {
        conv2d_lipschitz_upper(weight, shape, &ConvolutionOptions { quick: true, ..options.clone() })
    };
    Map::convolution(&weight, &shape, &options, bound)?.norm_upper()
}

/// The smallest bound, on a thread of Node's pool.
#[napi(js_name = "proveConv2dLipschitzUpperBound", catch_unwind, ts_return_type = "Promise<number>")]
pub fn prove_conv2d_lipschitz_upper_bound(
    weight: Uint8Array,
    shape: Vec<f64>,
    options: String,
) -> napi::Result<AsyncTask<Map>> {
    Ok(AsyncTask::new(Map::convolution(&weight, &shape, &options, conv2d_lipschitz_upper)?))
}

/// A proved upper bound of the norm of a convolution and of all parts of it; options are JSON.
#[napi(js_name = "conv2dGainUpperBound", catch_unwind)]
pub fn conv2d_gain_upper_bound(weight: Uint8Array, shape: Vec<f64>, options: String) -> napi::Result<f64> {
    Map::convolution(&weight, &shape, &options, conv2d_gain_upper)?.norm_upper()
}

/// The same on a thread of Node's pool.
#[napi(js_name = "proveConv2dGainUpperBound", catch_unwind, ts_return_type = "Promise<number>")]
pub fn prove_conv2d_gain_upper_bound(
    weight: Uint8Array,
    shape: Vec<f64>,
    options: String,
) -> napi::Result<AsyncTask<Map>> {
    Ok(AsyncTask::new(Map::convolution(&weight, &shape, &options, conv2d_gain_upper)?))
}

/// A matrix `[rows, cols]` whose singular values are looked for, or the first and the last of them alone.
pub struct Spectrum(Vec<f32>, usize, usize, bool);

impl Task for Spectrum {
    type Output = Vec<f64>;
    type JsValue = Float64Array;

    fn compute(&mut self) -> napi::Result<Vec<f64>> {
        guarded("the search for singular values", || {
            tslip_certify::singular_values(&self.0, self.1, self.2, self.3).map_err(|e| js_error(certify_error(e)))
        })
    }

    fn resolve(&mut self, _env: Env, found: Vec<f64>) -> napi::Result<Float64Array> {
        Ok(found.into())
    }
}

/// The singular values of an f32 matrix, descending, or the first and the last alone, found on a thread of Node's pool.
#[napi(catch_unwind, ts_return_type = "Promise<Float64Array>")]
pub fn singular_values(weight: Uint8Array, rows: f64, cols: f64, extremes: bool) -> napi::Result<AsyncTask<Spectrum>> {
    let matrix = || Ok(Spectrum(floats(&weight)?, size(rows, "rows")?, size(cols, "cols")?, extremes));
    matrix().map(AsyncTask::new).map_err(js_error)
}

/// The scalar that makes the convolution by an orthogonal kernel matrix 1-Lipschitz; options are JSON.
#[napi(catch_unwind)]
pub fn convolution_factor(options: String) -> napi::Result<f64> {
    parse::<ConvolutionOptions>(&options)
        .and_then(|o| tslip_certify::convolution_factor(&o).map_err(certify_error))
        .map_err(js_error)
}

/// A proved upper bound of the L2 Lipschitz constant of a network, from those of its layers; steps are JSON.
#[napi(catch_unwind)]
pub fn network_lipschitz_upper_bound(steps: String) -> napi::Result<f64> {
    let bound = || tslip_certify::lipschitz_upper(&parse::<Vec<Step>>(&steps)?).map_err(certify_error);
    bound().map_err(js_error)
}

/// Certified radii of logits `[n, classes]` by formula; options are JSON: kind and lipschitz.
#[napi(catch_unwind)]
pub fn certificate_radius(
    options: String,
    logits: Float64Array,
    classes: f64,
    head: Option<Float64Array>,
    features: Option<f64>,
) -> napi::Result<Radii> {
    let radii = || {
        let RadiusOptions { kind, lipschitz } = parse(&options)?;
        let (classes, features) = (size(classes, "classes")?, size(features.unwrap_or(0.0), "features")?);
        let head = head.as_ref().map(|weight| Head { weight, features });
        tslip_certify::certificate_radius(&logits, classes, kind, lipschitz, head).map_err(certify_error)
    };
    let radii = radii().map_err(js_error)?;
    Ok(Radii {
        predicted: Int32Array::new(radii.predicted),
        runner_up: Int32Array::new(radii.runner_up),
        margin: Float64Array::new(radii.margin),
        radius: Float64Array::new(radii.radius),
    })
}

/// A float32 matrix of which the distances of all rows and the origin from one another are bounded.
pub struct RowDistances(Vec<f32>, usize, usize);

impl RowDistances {
    fn of(weight: &[u8], rows: f64, cols: f64) -> napi::Result<RowDistances> {
        let matrix = || Ok(RowDistances(floats(weight)?, size(rows, "rows")?, size(cols, "cols")?));
        matrix().map_err(js_error)
    }

    fn upper(&self) -> napi::Result<Vec<f64>> {
        tslip_certify::row_distances_upper(&self.0, self.1, self.2).map_err(|e| js_error(certify_error(e)))
    }
}

impl Task for RowDistances {
    type Output = Vec<f64>;
    type JsValue = Float64Array;

    fn compute(&mut self) -> napi::Result<Vec<f64>> {
        guarded("the distances of rows", || self.upper())
    }

    fn resolve(&mut self, _env: Env, distances: Vec<f64>) -> napi::Result<Float64Array> {
        Ok(distances.into())
    }
}

/// Proved upper bounds of the distances of the rows of an f32 matrix, and of the origin after them, from one another: `[rows + 1, rows + 1]`.
#[napi(catch_unwind)]
pub fn row_distances_upper(weight: Uint8Array, rows: f64, cols: f64) -> napi::Result<Float64Array> {
    RowDistances::of(&weight, rows, cols)?.upper().map(Float64Array::new)
}

/// The same on a thread of Node's pool.
#[napi(catch_unwind, ts_return_type = "Promise<Float64Array>")]
pub fn prove_row_distances_upper(weight: Uint8Array, rows: f64, cols: f64) -> napi::Result<AsyncTask<RowDistances>> {
    RowDistances::of(&weight, rows, cols).map(AsyncTask::new)
}

/// What is known of a network whose logits are certified.
#[napi]
pub struct NetworkBounds {
    facts: Arc<Facts>,
}

struct Facts {
    known: Known,
    head: Option<LinearHead>,
    local: Option<Local>,
}

/// What layers compute, of which a network is made when it is first asked for.
struct Local {
    pieces: Pieces,
    numbers: Vec<Vec<f32>>,
    network: OnceLock<tslip_certify::Result<LocalNetwork>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pieces {
    /// Of each step, as far as it says.
    pieces: Vec<Option<Vec<Piece>>>,
    /// Numbers of a sample as it comes in, and in the value of each step.
    sizes: Vec<usize>,
}

impl Facts {
    fn local(&self) -> tslip_certify::Result<&LocalNetwork> {
        let Some(Local { pieces, numbers, network }) = &self.local else {
            unreachable!("refused where it was asked for")
        };
        let made = network.get_or_init(|| LocalNetwork::new(&self.known.steps, &pieces.pieces, numbers, &pieces.sizes));
        made.as_ref().map_err(Clone::clone)
    }

    /// By the last layer where that is linear, and what its roundings may hide at each sample.
    fn everywhere(&self, squares: &[f64]) -> tslip_certify::Result<(Everywhere<'_>, Vec<Slack>)> {
        let Known { lipschitz, steps, inputs, pixel_roundings } = &self.known;
        let Some(linear) = &self.head else {
            let slack = tslip_certify::forward_slack(steps, *inputs, squares, *pixel_roundings, Claim::Difference)?;
            return Ok((Everywhere { lipschitz: *lipschitz, spreads: &Spreads::GENERIC }, slack));
        };
        let (_, slack) =
            tslip_certify::forward_slack_by_rows(steps, *inputs, squares, *pixel_roundings, Claim::Difference)?;
        Ok((Everywhere { lipschitz: linear.lipschitz, spreads: &linear.pairwise }, slack))
    }
}

/// What is known of a network with a linear last layer.
struct LinearHead {
    /// A bound of what enters that layer.
    lipschitz: f64,
    pairwise: Spreads,
    disjoint: Spreads,
    /// Those of its rows.
    norms: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Known {
    /// A bound of all logits together.
    lipschitz: f64,
    steps: Vec<Step>,
    /// Numbers of a sample.
    inputs: usize,
    /// Roundings of pixels that were bytes, divided by 255 before the first layer.
    pixel_roundings: usize,
}

#[napi]
impl NetworkBounds {
    /// Bounds that are JSON: lipschitz, steps, inputs and pixelRoundings; where the last step is a linear layer, upper bounds of the
    /// distances of its rows and the origin, `[classes + 1, classes + 1]`; for local certificates what layers compute, as JSON, and the f32 values
    /// that this refers to.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        bounds: String,
        distances: Option<Float64Array>,
        pieces: Option<String>,
        numbers: Option<Vec<Uint8Array>>,
    ) -> napi::Result<Self> {
        let known = || {
            let known: Known = parse(&bounds)?;
            let before = match known.steps.last() {
                Some(Step::Layer { from, .. }) => known.steps.get(..*from),
                _ => None,
            };
            let head = match (before, distances) {
                (Some(before), Some(distances)) => {
                    let linear = || {
                        Ok(LinearHead {
                            lipschitz: tslip_certify::lipschitz_upper(before)?,
                            pairwise: Spreads::pairwise(&distances)?,
                            disjoint: Spreads::disjoint(&distances)?,
                            norms: tslip_certify::row_norms(&distances)?,
                        })
                    };
                    Some(linear().map_err(certify_error)?)
                }
                _ => None,
            };
            let local = pieces.map(|pieces| {
                let numbers = numbers.iter().flatten().map(|values| floats(values)).collect::<Result<_>>()?;
                Ok(Local { pieces: parse(&pieces)?, numbers, network: OnceLock::new() })
            });
            Ok(NetworkBounds { facts: Arc::new(Facts { known, head, local: local.transpose()? }) })
        };
        known().map_err(js_error)
    }

    /// Certified radii of logits `[n, classes]`, rounded down and less what their rounding may hide; `squares` are the sums of squares
    /// of the input and of the value of each step, `[n, steps + 1]`; `head` is "generic", "disjoint" or "pairwise", or "auto" for the largest of
    /// what these give. Rows of predicted class, runner-up (-1 where there is one class), margin, radius, and 0, 1 or 2 for the kind by which that is.
    #[napi(catch_unwind)]
    pub fn certificates(
        &self,
        logits: Float64ArraySlice<'_>,
        classes: f64,
        squares: Float64ArraySlice<'_>,
        head: String,
    ) -> napi::Result<Vec<f64>> {
        let classes = size(classes, "classes").map_err(js_error)?;
        let found = || self.found(&head, &logits, classes, &squares);
        let found: Vec<(Certificates, f64)> = found().map_err(|e| js_error(certify_error(e)))?;
        let Some((first, _)) = found.first() else {
            return Err(js_error(Error::argument(format!(
                "head \"{head}\" needs a last layer that is linear, of 1024 classes at most; leave the option out for the best that holds"
            ))));
        };
        let row = |i: usize| {
            let larger = found.iter().reduce(|best, one| if one.0.radius[i] > best.0.radius[i] { one } else { best });
            larger.map(|(of, kind)| {
                [f64::from(of.predicted[i]), f64::from(of.runner_up[i]), of.margin[i], of.radius[i], *kind]
            })
        };
        Ok((0..first.radius.len()).filter_map(row).flatten().collect())
    }

    /// Radii of at least `radii`, by what the network can do near samples `[n, inputs]`; logits and squares as for `certificates`. An interrupt ends the
    /// search, with what has been found.
    #[napi(catch_unwind, ts_return_type = "Promise<Float64Array>")]
    pub fn local_radii(
        &self,
        inputs: Float64ArraySlice<'_>,
        logits: Float64ArraySlice<'_>,
        squares: Float64ArraySlice<'_>,
        radii: Float64ArraySlice<'_>,
        tries: f64,
        interrupt: &Interrupt,
    ) -> napi::Result<AsyncTask<LocalRadii>> {
        let facts = &self.facts;
        let samples = radii.len();
        let fits = [inputs.len(), logits.len()].iter().all(|n| samples > 0 && n.is_multiple_of(samples))
            && squares.len() == samples * (facts.known.steps.len() + 1);
        if facts.local.is_none() || !fits {
            return Err(js_error(Error::argument(format!(
                "local radii need pieces, and rows for each of {samples} samples; given {} numbers of inputs, {} logits, {} squares",
                inputs.len(),
                logits.len(),
                squares.len()
            ))));
        }
        Ok(AsyncTask::new(LocalRadii {
            facts: Arc::clone(facts),
            inputs: inputs.to_vec(),
            logits: logits.to_vec(),
            squares: squares.to_vec(),
            radii: radii.to_vec(),
            tries: size(tries, "tries").map_err(js_error)?,
            stop: Arc::clone(&interrupt.raised),
        }))
    }

    /// Certificates by each bound that `head` asks for, with the number of its kind; none where it asks for what is not known.
    fn found(
        &self,
        head: &str,
        logits: &[f64],
        classes: usize,
        squares: &[f64],
    ) -> tslip_certify::Result<Vec<(Certificates, f64)>> {
        let Facts { known: Known { lipschitz, steps, inputs, pixel_roundings }, head: linear, .. } = &*self.facts;
        let certified = |lipschitz: f64, spreads: &Spreads, slack: &[Slack], kind: f64| {
            let radii = tslip_certify::certificate_radius_rounded_down(logits, classes, lipschitz, spreads, slack)?;
            Ok((radii, kind))
        };
        let Some(linear) = linear.as_ref().filter(|_| head != "generic") else {
            if head != "auto" && head != "generic" {
                return Ok(Vec::new());
            }
            let slack = tslip_certify::forward_slack(steps, *inputs, squares, *pixel_roundings, Claim::Difference)?;
            return Ok(vec![certified(*lipschitz, &Spreads::GENERIC, &slack, 0.0)?]);
        };
        let (all, pairs) =
            tslip_certify::forward_slack_by_rows(steps, *inputs, squares, *pixel_roundings, Claim::Difference)?;
        if head == "disjoint" {
            return Ok(vec![certified(linear.lipschitz, &linear.disjoint, &pairs, 1.0)?]);
        }
        let pairwise = certified(linear.lipschitz, &linear.pairwise, &pairs, 2.0)?;
        // No sum of two norms is less than the distance of the rows.
        match head {
            "auto" => Ok(vec![certified(*lipschitz, &Spreads::GENERIC, &all, 0.0)?, pairwise]),
            _ => Ok(vec![pairwise]),
        }
    }

    /// A proved bound of the Lipschitz constant of each of so many outputs by itself.
    #[napi(catch_unwind)]
    pub fn output_lipschitz(&self, width: f64) -> napi::Result<Float64Array> {
        let width = size(width, "width").map_err(js_error)?;
        let least = |bounds: &[OutputBound<'_>]| {
            let of = |output: usize| bounds.iter().map(|one| one.lipschitz_of(output)).fold(f64::INFINITY, f64::min);
            Ok((0..width).map(of).collect())
        };
        self.of_outputs(&[], least)
    }

    /// Radii within which outputs `[n, width]` keep their signs, rounded down and less what their rounding may hide; `squares` as of
    /// [`NetworkBounds::certificates`].
    #[napi(catch_unwind)]
    pub fn sign_radii(
        &self,
        outputs: Float64ArraySlice<'_>,
        width: f64,
        squares: Float64ArraySlice<'_>,
    ) -> napi::Result<Float64Array> {
        let width = size(width, "width").map_err(js_error)?;
        self.of_outputs(&squares, |bounds| tslip_certify::sign_radii_rounded_down(&outputs, width, bounds))
    }

    /// Ends of the intervals, `[n, width, 2]`, in which outputs `[n, width]` stay within a radius, rounded outward.
    #[napi(catch_unwind)]
    pub fn output_intervals(
        &self,
        outputs: Float64ArraySlice<'_>,
        width: f64,
        squares: Float64ArraySlice<'_>,
        radius: f64,
    ) -> napi::Result<Float64Array> {
        let width = size(width, "width").map_err(js_error)?;
        self.of_outputs(&squares, |bounds| tslip_certify::intervals_rounded_outward(&outputs, width, radius, bounds))
    }

    /// At least how far each of the logits `[n, classes]` can be above the largest other one within a radius, rounded up.
    #[napi(catch_unwind)]
    pub fn leads(
        &self,
        logits: Float64ArraySlice<'_>,
        classes: f64,
        squares: Float64ArraySlice<'_>,
        radius: f64,
    ) -> napi::Result<Float64Array> {
        let classes = size(classes, "classes").map_err(js_error)?;
        let Facts { known: Known { lipschitz, steps, inputs, pixel_roundings }, head, .. } = &*self.facts;
        let by = |lipschitz: f64, spreads: &Spreads, slack: &[Slack]| {
            tslip_certify::leads_rounded_up(&logits, classes, lipschitz, spreads, slack, radius)
        };
        let leads = || {
            let difference = Claim::Difference;
            let Some(linear) = head else {
                let all = tslip_certify::forward_slack(steps, *inputs, &squares, *pixel_roundings, difference)?;
                return by(*lipschitz, &Spreads::GENERIC, &all);
            };
            let (all, pairs) =
                tslip_certify::forward_slack_by_rows(steps, *inputs, &squares, *pixel_roundings, difference)?;
            let generic = by(*lipschitz, &Spreads::GENERIC, &all)?;
            let pairwise = by(linear.lipschitz, &linear.pairwise, &pairs)?;
            Ok(generic.iter().zip(&pairwise).map(|(a, b)| a.min(*b)).collect())
        };
        leads().map(Float64Array::new).map_err(|e| js_error(certify_error(e)))
    }

    /// What follows from all bounds of outputs by themselves, around samples of these sums of squares.
    fn of_outputs(
        &self,
        squares: &[f64],
        follows: impl FnOnce(&[OutputBound<'_>]) -> tslip_certify::Result<Vec<f64>>,
    ) -> napi::Result<Float64Array> {
        let Facts { known: Known { lipschitz, steps, inputs, pixel_roundings }, head, .. } = &*self.facts;
        let (steps, inputs, roundings, lipschitz) = (steps, *inputs, *pixel_roundings, *lipschitz);
        let found = || match head {
            None => {
                let slack = tslip_certify::forward_slack(steps, inputs, squares, roundings, Claim::Result)?;
                follows(&[OutputBound { lipschitz, norms: None, slack: &slack }])
            }
            Some(LinearHead { lipschitz: before, norms, .. }) => {
                let (all, rows) =
                    tslip_certify::forward_slack_by_rows(steps, inputs, squares, roundings, Claim::Result)?;
                follows(&[
                    OutputBound { lipschitz, norms: None, slack: &all },
                    OutputBound { lipschitz: *before, norms: Some(norms), slack: &rows },
                ])
            }
        };
        found().map(Float64Array::new).map_err(|e| js_error(certify_error(e)))
    }
}

/// Tells work that it is not wanted any more.
#[napi]
#[derive(Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
}

#[napi]
impl Interrupt {
    /// One that is not raised.
    #[napi(constructor)]
    pub fn new() -> Self {
        Interrupt::default()
    }

    /// Ends the work it was given to at its next step.
    #[napi]
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }
}

/// Samples around which radii are looked for, on a thread of Node's pool and as many beside it as the engine has workers.
pub struct LocalRadii {
    facts: Arc<Facts>,
    inputs: Vec<f64>,
    logits: Vec<f64>,
    squares: Vec<f64>,
    radii: Vec<f64>,
    tries: usize,
    stop: Arc<AtomicBool>,
}

impl LocalRadii {
    fn search(&self) -> tslip_certify::Result<Vec<f64>> {
        let LocalRadii { facts, inputs, logits, squares, radii, tries, stop } = self;
        let (network, (everywhere, slack)) = (facts.local()?, facts.everywhere(squares)?);
        let samples = radii.len();
        let (width, classes) = (inputs.len() / samples.max(1), logits.len() / samples.max(1));
        let one = |i: usize| {
            let sample = Sample {
                input: &inputs[i * width..][..width],
                logits: &logits[i * classes..][..classes],
                slack: slack[i],
                radius: radii[i],
            };
            network.radius(sample, everywhere, *tries, stop)
        };
        let next = Mutex::new(0..samples);
        let found = Mutex::new(vec![Ok(0.0); samples]);
        // Threads of their own: the engine's are for what others wait for.
        std::thread::scope(|scope| {
            for _ in 0..samples.min(pool().workers()) {
                scope.spawn(|| {
                    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some(i) = take() {
                        let radius = one(i);
                        found.lock().unwrap_or_else(PoisonError::into_inner)[i] = radius;
                    }
                });
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }
}

impl Task for LocalRadii {
    type Output = Vec<f64>;
    type JsValue = Float64Array;

    fn compute(&mut self) -> napi::Result<Vec<f64>> {
        guarded("the search for local radii", || self.search().map_err(|e| js_error(certify_error(e))))
    }

    fn resolve(&mut self, _env: Env, radii: Vec<f64>) -> napi::Result<Float64Array> {
        Ok(radii.into())
    }
}

fn parse<T: for<'de> Deserialize<'de>>(options: &str) -> Result<T> {
    serde_json::from_str(options).map_err(|e| Error::argument(format!("options {options} are not valid: {e}")))
}

fn floats(bytes: &[u8]) -> Result<Vec<f32>> {
    if !bytes.len().is_multiple_of(4) {
        return Err(Error::argument(format!("{} bytes are no whole number of f32 values", bytes.len())));
    }
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn certify_error(error: tslip_certify::Error) -> Error {
    let code = match error.code {
        tslip_certify::Code::ShapeMismatch => Code::ShapeMismatch,
        tslip_certify::Code::InvalidArgument => Code::InvalidArgument,
        tslip_certify::Code::NonFinite => Code::NonFinite,
    };
    Error::new(code, error.message)
}
