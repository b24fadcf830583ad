//! What is known of a tensor before it is computed: its shape and its element type.
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::error::{Error, Result};

/// Element types. Booleans are bytes 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DType {
    F32,
    I32,
    U8,
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::U8 | DType::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        })
    }
}

/// Shape and element type of a tensor, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
}

impl Spec {
    /// A spec of any element type.
    pub fn new(shape: impl Into<Vec<usize>>, dtype: DType) -> Self {
        Spec { shape: shape.into(), dtype }
    }

    /// A spec of 32-bit floats.
    pub fn f32(shape: impl Into<Vec<usize>>) -> Self {
        Spec::new(shape, DType::F32)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether some extent is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype.size()
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Refuses shapes whose size in bytes does not fit a 47-bit address space.
    pub fn check(self) -> Result<Self> {
        let bytes = self.shape.iter().try_fold(self.dtype.size(), |n, &d| n.checked_mul(d));
        match bytes {
            Some(n) if n < 1 << 46 => Ok(self),
            _ => Err(Error::shape(format!("a tensor of shape {:?} does not fit in memory", self.shape))),
        }
    }
}

/// The shape that NumPy broadcasting gives two shapes, or an error that shows both.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(Error::shape(format!(
                "shapes {a:?} and {b:?} do not broadcast: counted from the last axis, extents must be equal or 1"
            ))),
        })
        .collect()
}

/// Row-major strides in elements.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut out = vec![1; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        out[i] = out[i + 1] * shape[i + 1];
    }
    out
}
