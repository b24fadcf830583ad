//! Between JavaScript values and those of the engine.
use napi::bindgen_prelude::{Env, ToNapiValue, TypeName, Uint8Array, Uint8ArraySlice, ValueType};
use napi_derive::napi;
use serde_json::json;
use tslip_graph::{Code, DType, Error, Result, Spec};

/// Shape and element type of a tensor.
#[napi(object)]
pub struct TensorSpec {
    /// Extents, outermost first.
    pub shape: Vec<f64>,
    /// "f32", "i32", "u8" or "bool".
    pub dtype: String,
}

/// An error for JavaScript: its message is JSON with code, message, op and shapes.
pub fn js_error(error: Error) -> napi::Error {
    let mut value = json!({ "code": error.code.as_str(), "message": error.message });
    if let Some(op) = error.op {
        value["op"] = json!(op);
        value["shapes"] = json!(error.shapes);
    }
    napi::Error::new(napi::Status::GenericFailure, value.to_string())
}

/// An error of a given kind.
pub fn error(code: Code, message: impl Into<String>) -> napi::Error {
    js_error(Error::new(code, message))
}

/// A size: an integer from 0 to 2^53.
pub fn size(value: f64, what: &str) -> Result<usize> {
    if value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value) {
        Ok(value as usize)
    } else {
        Err(Error::argument(format!("{what} must be an integer >= 0, not {value}")))
    }
}

/// A number given out by the engine.
pub fn number(value: f64, what: &str) -> Result<u32> {
    u32::try_from(size(value, what)?).map_err(|_| Error::argument(format!("there is no {what} {value}")))
}

/// All extents of a shape.
pub fn shape(values: &[f64]) -> Result<Vec<usize>> {
    values.iter().map(|&v| size(v, "an extent of a shape")).collect()
}

/// An element type by name.
pub fn dtype(name: &str) -> Result<DType> {
    match name {
        "f32" => Ok(DType::F32),
        "i32" => Ok(DType::I32),
        "u8" => Ok(DType::U8),
        "bool" => Ok(DType::Bool),
        _ => Err(Error::dtype(format!("there is no element type \"{name}\"; there are f32, i32, u8 and bool"))),
    }
}

/// The engine's spec.
pub fn spec(of: &TensorSpec) -> Result<Spec> {
    Spec::new(shape(&of.shape)?, dtype(&of.dtype)?).check()
}

/// JavaScript's spec.
pub fn tensor_spec(spec: &Spec) -> TensorSpec {
    TensorSpec { shape: spec.shape.iter().map(|&d| d as f64).collect(), dtype: spec.dtype.to_string() }
}

/// Bytes for JavaScript to keep as a Uint8Array. V8 is slow to take over memory that it did not allocate, so a few bytes are
/// copied; many are handed over.
pub struct OutputBytes(pub Vec<u8>);

const COPIED_BYTES: usize = 16 << 10;

impl TypeName for OutputBytes {
    fn type_name() -> &'static str {
        Uint8Array::type_name()
    }

    fn value_type() -> ValueType {
        Uint8Array::value_type()
    }
}

impl ToNapiValue for OutputBytes {
    unsafe fn to_napi_value(env: napi::sys::napi_env, Self(bytes): Self) -> napi::Result<napi::sys::napi_value> {
        if bytes.len() > COPIED_BYTES {
            // SAFETY: the caller of this method promises the same of `env` as that of the one it is handed to: an environment
            // that is alive, on its own thread. The bytes are moved into the array.
            return unsafe { Uint8Array::to_napi_value(env, Uint8Array::new(bytes)) };
        }
        let copy = Uint8ArraySlice::copy_from(&Env::from_raw(env), bytes)?;
        // SAFETY: as above; the copy was made in that environment just now, in the same scope.
        unsafe { Uint8ArraySlice::to_napi_value(env, copy) }
    }
}

/// Runs on another thread what may panic by a mistake of ours: that becomes an error.
pub fn guarded<T>(what: &str, run: impl FnOnce() -> napi::Result<T>) -> napi::Result<T> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    outcome.unwrap_or_else(|_| Err(error(Code::Internal, format!("{what} panicked"))))
}
