//! Tensors in files: safetensors, written beside the target and renamed, checked before they are believed.
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tslip_graph::Code;

use crate::convert::{error, js_error, shape};

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

/// Writes tensors and texts to a safetensors file, under a temporary name that is then renamed.
#[napi(catch_unwind)]
pub fn save_safetensors(path: String, entries: Vec<FileTensor>, metadata: HashMap<String, String>) -> napi::Result<()> {
    let mut views = Vec::with_capacity(entries.len());
    for e in &entries {
        let shape = shape(&e.shape).map_err(js_error)?;
        let view = TensorView::new(file_type(&e.dtype)?, shape, &e.data).map_err(|cause| {
            error(Code::InvalidArgument, format!("tensor \"{}\" cannot be written: {cause}", e.name))
        })?;
        views.push((e.name.clone(), view));
    }
    let bytes = serialize(views, Some(metadata))
        .map_err(|cause| error(Code::InvalidArgument, format!("{path} cannot be written: {cause}")))?;
    write_renamed(Path::new(&path), &bytes)
        .map_err(|cause| error(Code::Io, format!("{path} cannot be written: {cause}")))
}

/// Reads a safetensors file; one that is truncated or malformed is refused with the reason.
#[napi(catch_unwind)]
pub fn load_safetensors(path: String) -> napi::Result<FileContent> {
    let bytes = std::fs::read(&path).map_err(|cause| error(Code::Io, format!("{path} cannot be read: {cause}")))?;
    let invalid = |cause: safetensors::SafeTensorError| {
        error(Code::InvalidFile, format!("{path} is not a valid safetensors file ({} bytes): {cause}", bytes.len()))
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(invalid)?;
    let file = SafeTensors::deserialize(&bytes).map_err(invalid)?;
    let mut entries = Vec::new();
    for (name, view) in file.iter() {
        entries.push(FileTensor {
            name: name.to_string(),
            dtype: type_name(view.dtype(), name, &path)?.to_string(),
            shape: view.shape().iter().map(|&d| d as f64).collect(),
            data: Uint8Array::new(view.data().to_vec()),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(FileContent { entries, metadata: header.metadata().clone().unwrap_or_default() })
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

fn write_renamed(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let suffix = format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(suffix);
    let temporary = PathBuf::from(temporary);
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The write has failed already; that the remains cannot be removed either adds nothing.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
