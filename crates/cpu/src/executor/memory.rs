//! Aligned byte buffers, and operands made of them.
use tslip_graph::{Code, DType, Data, DataMut, Error, Result};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes aligned to a cache line, so that they can be read as any element type.
#[derive(Clone, Default)]
pub struct Bytes {
    lines: Vec<Line>,
    len: usize,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.len)
    }
}

impl Bytes {
    /// `len` zero bytes, or `OUT_OF_MEMORY`.
    pub fn zeroed(len: usize) -> Result<Self> {
        let mut lines = vec_of(len.div_ceil(64))?;
        lines.resize(len.div_ceil(64), Line([0; 64]));
        Ok(Bytes { lines, len })
    }

    /// A copy of `bytes`, or `OUT_OF_MEMORY`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        let mut out = Bytes::zeroed(bytes.len())?;
        out.as_mut().copy_from_slice(bytes);
        Ok(out)
    }

    /// Makes room for at least `len` bytes; what was there is lost if it has to grow.
    pub fn reserve(&mut self, len: usize) -> Result<()> {
        if len > self.len {
            // Dropped first: the old and the new memory are never held together.
            *self = Bytes::default();
            *self = Bytes::zeroed(len)?;
        }
        Ok(())
    }

    /// Sets the length, keeping the memory where it suffices; the content is then any bytes.
    pub fn resize(&mut self, len: usize) -> Result<()> {
        if len > self.lines.len() * 64 {
            *self = Bytes::zeroed(len)?;
        }
        self.len = len;
        Ok(())
    }

    /// Bytes that the memory has room for.
    pub fn capacity(&self) -> usize {
        self.lines.len() * 64
    }

    /// Start of the memory.
    pub fn base(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }
}

/// An empty vector with room for `len` elements. An allocation that fails is an error, not the end of the process.
pub fn vec_of<T>(len: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| {
        let size = len as f64 * size_of::<T>() as f64 / f64::from(1 << 30);
        Error::new(
            Code::OutOfMemory,
            format!("{size:.2} GiB of memory could not be had; use smaller tensors, or a smaller batch"),
        )
    })?;
    Ok(out)
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the lines own at least `len` initialised bytes, and bytes have no alignment of their own.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl AsMut<[u8]> for Bytes {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `as_ref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Reads `len` elements at `at`.
///
/// # Safety
/// `at` is aligned for the type and starts `len` initialised elements that nobody writes during `'a`.
pub unsafe fn data<'a>(at: *const u8, len: usize, dtype: DType) -> Data<'a> {
    // SAFETY: handed on from the caller.
    unsafe {
        match dtype {
            DType::F32 => Data::F32(std::slice::from_raw_parts(at.cast(), len)),
            DType::I32 => Data::I32(std::slice::from_raw_parts(at.cast(), len)),
            DType::U8 => Data::U8(std::slice::from_raw_parts(at, len)),
            DType::Bool => Data::Bool(std::slice::from_raw_parts(at, len)),
        }
    }
}

/// Elements at `at`, to be written.
///
/// # Safety
/// `at` is aligned for the type and starts `len` initialised elements that nobody else reads or writes during `'a`.
pub unsafe fn data_mut<'a>(at: *mut u8, len: usize, dtype: DType) -> DataMut<'a> {
    // SAFETY: handed on from the caller.
    unsafe {
        match dtype {
            DType::F32 => DataMut::F32(std::slice::from_raw_parts_mut(at.cast(), len)),
            DType::I32 => DataMut::I32(std::slice::from_raw_parts_mut(at.cast(), len)),
            DType::U8 => DataMut::U8(std::slice::from_raw_parts_mut(at, len)),
            DType::Bool => DataMut::Bool(std::slice::from_raw_parts_mut(at, len)),
        }
    }
}
