//! The inputs that certificates are of.
use std::borrow::Cow;

use safetensors::SafeTensors;

use crate::file::Dtype;
use crate::network::sample_size;

/// Inputs of one shape, one after another.
pub struct Inputs<'a> {
    pub(crate) dtype: Dtype,
    /// Of one input.
    pub(crate) shape: Vec<usize>,
    pub(crate) count: usize,
    data: Cow<'a, [u8]>,
}

impl<'a> Inputs<'a> {
    /// Inputs `[n, ...shape]` as they lie in memory, little-endian. The error says what is wrong with them.
    pub fn new(dtype: Dtype, shape: &[usize], data: impl Into<Cow<'a, [u8]>>) -> Result<Self, String> {
        let data = data.into();
        let (Some((&count, shape)), width) = (shape.split_first(), if dtype == Dtype::F32 { 4 } else { 1 }) else {
            return Err("inputs have a first axis, along which they stand".to_string());
        };
        let bytes = sample_size(shape).and_then(|size| size.checked_mul(width)?.checked_mul(count));
        if bytes != Some(data.len()) {
            return Err(format!("{} bytes are not {count} inputs of shape {shape:?}", data.len()));
        }
        Ok(Inputs { dtype, shape: shape.to_vec(), count, data })
    }

    /// Those in a safetensors file, its only tensor. The error says what is wrong with it.
    pub fn read(file: &'a [u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(file).map_err(|cause| format!("it is no safetensors file: {cause}"))?;
        let mut all = tensors.tensors();
        let (Some((_, tensor)), true) = (all.pop(), all.is_empty()) else {
            return Err(format!("a file of inputs has one tensor; this one has {}", tensors.len()));
        };
        let dtype = match tensor.dtype() {
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::U8 => Dtype::U8,
            other => return Err(format!("inputs are F32 or U8; these are {other:?}")),
        };
        Inputs::new(dtype, tensor.shape(), tensor.data())
    }

    /// The bytes of an input.
    pub(crate) fn bytes(&self, i: usize) -> &[u8] {
        let size = self.data.len() / self.count.max(1);
        &self.data[i * size..(i + 1) * size]
    }

    /// The numbers of an input, of which bytes are divided by 255.
    pub(crate) fn numbers(&self, i: usize) -> Vec<f64> {
        let bytes = self.bytes(i);
        match self.dtype {
            Dtype::U8 => bytes.iter().map(|byte| f64::from(*byte) / 255.0).collect(),
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|four| f64::from(f32::from_le_bytes(*four))).collect(),
        }
    }
}
