//! Tensors in files: safetensors, written beside the target and renamed, checked before they are believed.
use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi::{Env, Task};
use napi_derive::napi;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tslip_graph::Code;

use crate::convert::{OutputBytes, error, guarded, js_error, shape};

/// A named tensor of a file.
#[napi(object)]
pub struct FileTensor {
    /// Its key.
    pub name: String,
    /// "f32", "i32", "u8" or "bool".
    pub dtype: String,
    /// Extents.
    pub shape: Vec<f64>,
    /// Raw elements, little-endian.
    pub data: Uint8Array,
}

/// What a safetensors file holds.
#[napi(object)]
pub struct FileContent {
    /// All tensors, sorted by name.
    pub entries: Vec<FileTensor>,
    /// Texts by name.
    pub metadata: HashMap<String, String>,
}

/// What a file is to hold.
pub struct Tensors {
    /// Their bytes stay in JavaScript's memory, where nobody writes to values of tensors.
    tensors: Vec<(String, Dtype, Vec<usize>, Uint8Array)>,
    metadata: HashMap<String, String>,
}

impl Tensors {
    fn of(entries: Vec<FileTensor>, metadata: HashMap<String, String>) -> napi::Result<Tensors> {
        let tensor = |e: FileTensor| Ok((e.name, file_type(&e.dtype)?, shape(&e.shape).map_err(js_error)?, e.data));
        let tensors = entries.into_iter().map(tensor).collect::<napi::Result<_>>()?;
        Ok(Tensors { tensors, metadata })
    }

    /// The bytes of the file, the same for the same tensors on every machine.
    fn serialized(&self) -> napi::Result<Vec<u8>> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, dtype, shape, bytes) in &self.tensors {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|cause| {
                error(Code::InvalidArgument, format!("tensor \"{name}\" cannot be written: {cause}"))
            })?;
            views.push((name, view));
        }
        serialize(views, Some(self.metadata.clone()))
            .map_err(|cause| error(Code::InvalidArgument, format!("these tensors cannot be written: {cause}")))
    }
}

/// A file to be written.
pub struct Save(PathBuf, Tensors);

/// Writes tensors and texts to a safetensors file, under a temporary name that is then renamed, on a thread of Node's pool.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn save_safetensors(
    path: String,
    entries: Vec<FileTensor>,
    metadata: HashMap<String, String>,
) -> napi::Result<AsyncTask<Save>> {
    Ok(AsyncTask::new(Save(path.into(), Tensors::of(entries, metadata)?)))
}

impl Task for Tensors {
    type Output = Vec<u8>;
    type JsValue = OutputBytes;

    fn compute(&mut self) -> napi::Result<Vec<u8>> {
        guarded("making a file", || self.serialized())
    }

    fn resolve(&mut self, _env: Env, bytes: Vec<u8>) -> napi::Result<OutputBytes> {
        Ok(OutputBytes(bytes))
    }
}

/// The bytes of the file that [`save_safetensors`] writes.
#[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
pub fn serialize_safetensors(
    entries: Vec<FileTensor>,
    metadata: HashMap<String, String>,
) -> napi::Result<AsyncTask<Tensors>> {
    Ok(AsyncTask::new(Tensors::of(entries, metadata)?))
}

impl Task for Save {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        guarded("writing a file", || self.write())
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

impl Save {
    fn write(&self) -> napi::Result<()> {
        let Save(path, tensors) = self;
        let bytes = tensors.serialized()?;
        write_renamed(path, &bytes)
            .map_err(|cause| error(Code::Io, format!("{} cannot be written: {cause}", path.display())))
    }
}

/// A file to be read.
pub struct Load(PathBuf);

/// Reads a safetensors file on a thread of Node's pool; one that is truncated or malformed is refused with the reason.
#[napi(catch_unwind, ts_return_type = "Promise<FileContent>")]
pub fn load_safetensors(path: String) -> AsyncTask<Load> {
    AsyncTask::new(Load(path.into()))
}

impl Task for Load {
    type Output = FileContent;
    type JsValue = FileContent;

    fn compute(&mut self) -> napi::Result<FileContent> {
        guarded("reading a file", || self.read())
    }

    fn resolve(&mut self, _env: Env, content: FileContent) -> napi::Result<FileContent> {
        Ok(content)
    }
}

impl Load {
    fn read(&self) -> napi::Result<FileContent> {
        let path = self.0.display();
        let bytes =
            std::fs::read(&self.0).map_err(|cause| error(Code::Io, format!("{path} cannot be read: {cause}")))?;
        let invalid = |cause: safetensors::SafeTensorError| {
            error(Code::InvalidFile, format!("{path} is not a valid safetensors file ({} bytes): {cause}", bytes.len()))
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(invalid)?;
        let file = SafeTensors::deserialize(&bytes).map_err(invalid)?;
        let mut entries = Vec::new();
        for (name, view) in file.iter() {
            entries.push(FileTensor {
                name: name.to_string(),
                dtype: type_name(view.dtype(), name, &path.to_string())?.to_string(),
                shape: view.shape().iter().map(|&d| d as f64).collect(),
                data: Uint8Array::new(view.data().to_vec()),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(FileContent { entries, metadata: header.metadata().clone().unwrap_or_default() })
    }
}

fn file_type(name: &str) -> napi::Result<Dtype> {
    match name {
        "f32" => Ok(Dtype::F32),
        "i32" => Ok(Dtype::I32),
        "u8" => Ok(Dtype::U8),
        "bool" => Ok(Dtype::BOOL),
        _ => Err(error(Code::DtypeMismatch, format!("there is no element type \"{name}\""))),
    }
}

fn type_name(dtype: Dtype, tensor: &str, path: &str) -> napi::Result<&'static str> {
    match dtype {
        Dtype::F32 => Ok("f32"),
        Dtype::I32 => Ok("i32"),
        Dtype::U8 => Ok("u8"),
        Dtype::BOOL => Ok("bool"),
        other => Err(error(
            Code::InvalidFile,
            format!("tensor \"{tensor}\" of {path} is {other:?}; tslip reads F32, I32, U8 and BOOL: convert it first"),
        )),
    }
}

/// Writes a file under another name in the same folder, which then takes its place: what it is a link to, with its permissions.
fn write_renamed(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // What does not exist yet is what it is called; a link to nothing is replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let before = std::fs::metadata(&target).ok();
    if before.as_ref().is_some_and(|file| !file.is_file()) {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "there is something that is no file"));
    }
    let name = format!(".tslip-{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let temporary = target.with_file_name(name);
    let written = std::fs::write(&temporary, bytes)
        .and_then(|()| before.map_or(Ok(()), |file| std::fs::set_permissions(&temporary, file.permissions())))
        .and_then(|()| std::fs::rename(&temporary, &target));
    if written.is_err() {
        // The write has failed already; that the remains cannot be removed either adds nothing.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
