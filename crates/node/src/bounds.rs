//! Proved bounds and certificates, as JavaScript sees them.
use napi::bindgen_prelude::{Float64Array, Int32Array, Uint8Array};
use napi_derive::napi;
use serde::Deserialize;
use tslip_certify::{ConvolutionOptions, Head, HeadKind, Step};
use tslip_graph::{Code, Error, Result};

use crate::convert::{js_error, shape, size};

/// Options of [`certificate_radius`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RadiusOptions {
    kind: HeadKind,
    lipschitz: f64,
    /// The network that computed the logits: radii are then rounded down and the rounding of the logits is taken off.
    #[serde(default)]
    steps: Option<Vec<Step>>,
    /// Numbers of a sample.
    #[serde(default)]
    inputs: usize,
    /// Roundings of pixels that were bytes, divided by 255 before the first layer.
    #[serde(default)]
    pixel_roundings: usize,
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

/// A proved upper bound of the spectral norm of an f32 matrix.
#[napi(catch_unwind)]
pub fn spectral_norm_upper_bound(weight: Uint8Array, rows: f64, cols: f64) -> napi::Result<f64> {
    let bound = || {
        let (rows, cols) = (size(rows, "rows")?, size(cols, "cols")?);
        tslip_certify::spectral_norm_upper(&floats(&weight)?, rows, cols).map_err(certify_error)
    };
    bound().map_err(js_error)
}

/// A proved upper bound of the L2 Lipschitz constant of a convolution with OIHW f32 weights; options are JSON.
#[napi(js_name = "conv2dLipschitzUpperBound", catch_unwind)]
pub fn conv2d_lipschitz_upper_bound(weight: Uint8Array, shape: Vec<f64>, options: String) -> napi::Result<f64> {
    let bound = || {
        let (options, shape) = (parse::<ConvolutionOptions>(&options)?, self::shape(&shape)?);
        tslip_certify::conv2d_lipschitz_upper(&floats(&weight)?, &shape, &options).map_err(certify_error)
    };
    bound().map_err(js_error)
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

/// Certified radii of logits `[n, classes]`; options are JSON: kind, lipschitz, and steps, inputs and pixelRoundings where `squares`
/// gives the sums of squares of the input and of the value of each step, `[n, steps + 1]`.
#[napi(catch_unwind)]
pub fn certificate_radius(
    options: String,
    logits: Float64Array,
    classes: f64,
    head: Option<Float64Array>,
    features: Option<f64>,
    squares: Option<Float64Array>,
) -> napi::Result<Radii> {
    let radii = || {
        let o: RadiusOptions = parse(&options)?;
        let (classes, features) = (size(classes, "classes")?, size(features.unwrap_or(0.0), "features")?);
        let head = head.as_ref().map(|weight| Head { weight, features });
        let (kind, lipschitz) = (o.kind, o.lipschitz);
        let radii = match &o.steps {
            Some(steps) => {
                let squares: &[f64] = squares.as_deref().unwrap_or_default();
                tslip_certify::forward_slack(steps, o.inputs, squares, o.pixel_roundings).and_then(|slack| {
                    tslip_certify::certificate_radius_rounded_down(&logits, classes, kind, lipschitz, head, &slack)
                })
            }
            None => tslip_certify::certificate_radius(&logits, classes, kind, lipschitz, head),
        };
        radii.map_err(certify_error)
    };
    let radii = radii().map_err(js_error)?;
    Ok(Radii {
        predicted: Int32Array::new(radii.predicted),
        runner_up: Int32Array::new(radii.runner_up),
        margin: Float64Array::new(radii.margin),
        radius: Float64Array::new(radii.radius),
    })
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
