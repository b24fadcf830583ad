//! Files of certificates, written and verified on threads of Node's pool.
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::{AsyncTask, Either, FnArgs, Function, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Task};
use napi_derive::napi;
use tslip_graph::{Code, Error};
use tslip_verify::{Claim, Dtype, Inputs, Outcome, Refused, Stopped, Work};

use crate::convert::{error, guarded, js_error, shape};
use crate::engine::CancelToken;

/// Inputs of one shape, as they lie in memory.
#[napi(object)]
pub struct InputBytes {
    /// "f32" or "u8".
    pub dtype: String,
    /// `[n, ...]`.
    pub shape: Vec<f64>,
    /// Little-endian.
    pub data: Uint8Array,
}

/// What a file claims, in the order of the inputs.
#[napi(object)]
pub struct Claims {
    /// Classes.
    pub predicted: Vec<f64>,
    /// Radii; they may be infinite.
    pub radius: Vec<f64>,
    /// By which bound each of them is proved.
    pub kind: Vec<String>,
}

/// Called with the part of the work that is done.
type Progress<'a> = Function<'a, FnArgs<(f64,)>, ()>;

/// Bytes of a file at most.
const MOST_BYTES: u64 = 1 << 32;

/// Bytes, or where they are.
enum Source {
    File(String),
    Bytes(Uint8Array),
}

impl Source {
    fn of(given: Either<String, Uint8Array>) -> Source {
        match given {
            Either::A(path) => Source::File(path),
            Either::B(bytes) => Source::Bytes(bytes),
        }
    }

    fn read(&self) -> napi::Result<std::borrow::Cow<'_, [u8]>> {
        match self {
            Source::Bytes(bytes) => Ok(bytes.as_ref().into()),
            Source::File(path) => read(path).map(Into::into),
        }
    }
}

/// The bytes of a file that is one: of a device or a pipe there is no end.
fn read(path: &str) -> napi::Result<Vec<u8>> {
    let failed = |cause: std::io::Error| error(Code::Io, format!("{path} cannot be read: {cause}"));
    let known = std::fs::metadata(path).map_err(failed)?;
    if !known.is_file() || known.len() > MOST_BYTES {
        return Err(error(
            Code::Io,
            format!("{path} cannot be read: it is no file, or larger than {MOST_BYTES} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Inputs, or the file that has them.
enum Given {
    File(String),
    Tensor(Dtype, Vec<usize>, Uint8Array),
}

impl Given {
    fn of(given: Either<String, InputBytes>) -> napi::Result<Given> {
        match given {
            Either::A(path) => Ok(Given::File(path)),
            Either::B(InputBytes { dtype, shape: extents, data }) => {
                let dtype = match dtype.as_str() {
                    "f32" => Dtype::F32,
                    "u8" => Dtype::U8,
                    other => return Err(error(Code::DtypeMismatch, format!("inputs are f32 or u8; given {other}"))),
                };
                Ok(Given::Tensor(dtype, shape(&extents).map_err(js_error)?, data))
            }
        }
    }

    fn with<T>(&self, call: impl FnOnce(Result<Inputs<'_>, String>) -> napi::Result<T>) -> napi::Result<T> {
        match self {
            Given::File(path) => call(Inputs::read(&read(path)?)),
            Given::Tensor(dtype, shape, data) => call(Inputs::new(*dtype, shape, data.as_ref())),
        }
    }
}

/// Whether to go on, and who is told how far it is.
struct Watch {
    cancel: Arc<AtomicBool>,
    tell: Option<Box<dyn Fn(f64) + Send>>,
}

impl Watch {
    fn new(token: Option<&CancelToken>, on_progress: Option<Progress<'_>>) -> napi::Result<Watch> {
        let tell = on_progress.map(|call| -> napi::Result<Box<dyn Fn(f64) + Send>> {
            let call = call.build_threadsafe_function().weak::<true>().build()?;
            Ok(Box::new(move |part| {
                // A report that cannot be delivered, because the environment is going away, is not worth an error.
                let _ = call.call(FnArgs::from((part,)), ThreadsafeFunctionCallMode::NonBlocking);
            }))
        });
        Ok(Watch { cancel: token.map(CancelToken::flag).unwrap_or_default(), tell: tell.transpose()? })
    }

    fn goes_on(&self, part: f64) -> bool {
        if let Some(tell) = &self.tell {
            tell(part);
        }
        !self.cancel.load(Ordering::Relaxed)
    }
}

fn cancelled() -> napi::Error {
    js_error(Error::new(Code::Cancelled, "the verification was cancelled"))
}

/// A file that is verified.
pub struct Verification {
    file: Source,
    model: Source,
    inputs: Given,
    signer: Option<String>,
    watch: Watch,
}

impl Task for Verification {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<String> {
        guarded("the verification of certificates", || {
            let (file, model) = (self.file.read()?, self.model.read()?);
            let report = |part: f64| self.watch.goes_on(part);
            let verdict = self.inputs.with(|inputs| {
                let work = Work::new(&report);
                tslip_verify::verify(&file, &model, &inputs, self.signer.as_deref(), &work)
                    .map_err(|Stopped| cancelled())
            })?;
            serde_json::to_string(&verdict).map_err(|cause| error(Code::Internal, cause.to_string()))
        })
    }

    fn resolve(&mut self, _env: Env, verdict: String) -> napi::Result<String> {
        Ok(verdict)
    }
}

/// Verifies a certificate file against its model and inputs, each given as bytes or where they are; the verdict is JSON.
#[napi(
    catch_unwind,
    ts_args_type = "file: string | Uint8Array, model: string | Uint8Array, inputs: string | InputBytes, signer?: string | undefined | null, token?: CancelToken | undefined | null, onProgress?: ((part: number) => void) | undefined | null",
    ts_return_type = "Promise<string>"
)]
pub fn verify_certificates(
    file: Either<String, Uint8Array>,
    model: Either<String, Uint8Array>,
    inputs: Either<String, InputBytes>,
    signer: Option<String>,
    token: Option<&CancelToken>,
    on_progress: Option<Progress<'_>>,
) -> napi::Result<AsyncTask<Verification>> {
    let (file, model, inputs) = (Source::of(file), Source::of(model), Given::of(inputs)?);
    Ok(AsyncTask::new(Verification { file, model, inputs, signer, watch: Watch::new(token, on_progress)? }))
}

/// Claims that are proved anew.
pub struct Certification {
    model: Source,
    inputs: Given,
    claims: Vec<Claim>,
    watch: Watch,
}

/// The text of what a certificate file holds beside its hash, and that hash.
#[napi(object, object_from_js = false)]
pub struct CertificateText {
    /// Canonical JSON.
    pub text: String,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
}

impl Task for Certification {
    type Output = String;
    type JsValue = CertificateText;

    fn compute(&mut self) -> napi::Result<String> {
        guarded("the proof of certificates", || {
            let model = self.model.read()?;
            let report = |part: f64| self.watch.goes_on(part);
            self.inputs.with(|inputs| {
                let inputs = inputs
                    .map_err(|cause| error(Code::InvalidArgument, format!("the inputs cannot be read: {cause}")))?;
                let work = Work::new(&report);
                tslip_verify::certificate(&model, &inputs, &self.claims, &work).map_err(refused)
            })
        })
    }

    fn resolve(&mut self, _env: Env, text: String) -> napi::Result<CertificateText> {
        let sha256 = tslip_verify::sha256(text.as_bytes());
        Ok(CertificateText { text, sha256 })
    }
}

fn refused(refused: Refused) -> napi::Error {
    match refused {
        Refused::Stopped => cancelled(),
        Refused::Verdict(verdict) => {
            let code = match verdict.outcome {
                Outcome::Unsupported => Code::Unsupported,
                Outcome::Model => Code::InvalidFile,
                _ => Code::InvalidArgument,
            };
            error(
                code,
                format!("these certificates cannot be saved, as they would not be verified: {}", verdict.message),
            )
        }
    }
}

/// What a certificate file of claims about inputs of a model holds, each of them proved anew.
#[napi(
    catch_unwind,
    ts_args_type = "model: string | Uint8Array, inputs: string | InputBytes, claims: Claims, token?: CancelToken | undefined | null, onProgress?: ((part: number) => void) | undefined | null",
    ts_return_type = "Promise<CertificateText>"
)]
pub fn certificate_text(
    model: Either<String, Uint8Array>,
    inputs: Either<String, InputBytes>,
    claims: Claims,
    token: Option<&CancelToken>,
    on_progress: Option<Progress<'_>>,
) -> napi::Result<AsyncTask<Certification>> {
    let Claims { predicted, radius, kind } = claims;
    let all = predicted.into_iter().zip(radius).zip(kind);
    let claims = all.map(|((predicted, radius), kind)| Claim { predicted: predicted as u64, radius, kind }).collect();
    let (model, inputs) = (Source::of(model), Given::of(inputs)?);
    Ok(AsyncTask::new(Certification { model, inputs, claims, watch: Watch::new(token, on_progress)? }))
}
