//! What a CPU kernel sees: slices with shapes, and scratch that the caller owns.
use crate::spec::DType;

/// Elements of a tensor, borrowed.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Data<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
    U8(&'a [u8]),
    Bool(&'a [u8]),
}

/// Elements of a tensor, to be written.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum DataMut<'a> {
    F32(&'a mut [f32]),
    I32(&'a mut [i32]),
    U8(&'a mut [u8]),
    Bool(&'a mut [u8]),
}

/// A contiguous row-major operand.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Extents; axis 0 may be a chunk of the samples.
    pub shape: &'a [usize],
    /// The elements.
    pub data: Data<'a>,
}

/// A contiguous row-major result.
#[derive(Debug)]
pub struct ViewMut<'a> {
    /// Extents; axis 0 may be a chunk of the samples.
    pub shape: &'a [usize],
    /// The elements.
    pub data: DataMut<'a>,
}

/// Everything a kernel is called with.
#[derive(Debug)]
pub struct Call<'a> {
    /// Operands in the op's order.
    pub inputs: &'a [View<'a>],
    /// The result: added to by ops that accumulate (`Op::accumulates`), overwritten by every other.
    pub output: ViewMut<'a>,
    /// Uninitialised working memory, as many floats as `Op::scratch` asked for.
    pub scratch: &'a mut [f32],
}

impl<'a> View<'a> {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::I32(_) => DType::I32,
            Data::U8(_) => DType::U8,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// The floats; shape inference has established the type.
    pub fn f32(&self) -> &'a [f32] {
        match self.data {
            Data::F32(x) => x,
            _ => unreachable!("a kernel was given {} where its op declares f32", self.dtype()),
        }
    }

    /// The integers; shape inference has established the type.
    pub fn i32(&self) -> &'a [i32] {
        match self.data {
            Data::I32(x) => x,
            _ => unreachable!("a kernel was given {} where its op declares i32", self.dtype()),
        }
    }

    /// Bytes of a `u8` or `bool` tensor.
    pub fn bytes(&self) -> &'a [u8] {
        match self.data {
            Data::U8(x) | Data::Bool(x) => x,
            _ => unreachable!("a kernel was given {} where its op declares u8 or bool", self.dtype()),
        }
    }
}

impl ViewMut<'_> {
    /// The floats; shape inference has established the type.
    pub fn f32(&mut self) -> &mut [f32] {
        match &mut self.data {
            DataMut::F32(x) => x,
            _ => unreachable!("a kernel writes f32 where its op declares another type"),
        }
    }

    /// The integers; shape inference has established the type.
    pub fn i32(&mut self) -> &mut [i32] {
        match &mut self.data {
            DataMut::I32(x) => x,
            _ => unreachable!("a kernel writes i32 where its op declares another type"),
        }
    }

    /// Bytes of a `u8` or `bool` tensor.
    pub fn bytes(&mut self) -> &mut [u8] {
        match &mut self.data {
            DataMut::U8(x) | DataMut::Bool(x) => x,
            _ => unreachable!("a kernel writes bytes where its op declares another type"),
        }
    }
}
