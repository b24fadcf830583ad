//! Aligned byte buffers, and operands made of them.
use tslip_graph::{DType, Data, DataMut};

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
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        Bytes { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut out = Bytes::zeroed(bytes.len());
        out.as_mut().copy_from_slice(bytes);
        out
    }

    /// Makes room for at least `len` bytes; what was there is lost if it has to grow.
    pub fn reserve(&mut self, len: usize) {
        if len > self.len {
            // Dropped first: the old and the new memory are never held together.
            *self = Bytes::default();
            *self = Bytes::zeroed(len);
        }
    }

    /// Sets the length, keeping the memory where it suffices; the content is then any bytes.
    pub fn resize(&mut self, len: usize) {
        if len > self.lines.len() * 64 {
            *self = Bytes::zeroed(len);
        }
        self.len = len;
    }

    /// Start of the memory.
    pub fn base(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }
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
