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
    fn base(&mut self) -> *mut u8 {
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
        // SAFETY: the lines own their bytes, all of them initialised, and `zeroed` and `resize` alone set `len`, to no more than
        // they are.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl AsMut<[u8]> for Bytes {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `as_ref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// A stretch of memory by its address, for values that a plan has placed in it. Operands made of it are inside it and aligned,
/// which is checked for each; that the memory is still there, and who else uses it, is left to whoever makes them.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    base: *mut u8,
    len: usize,
}

// SAFETY: an address; all methods that follow it are unsafe, and ask that no other thread does what may not be done at once.
unsafe impl Sync for Region {}

impl Region {
    /// No memory.
    pub const NONE: Region = Region { base: std::ptr::without_provenance_mut(align_of::<Line>()), len: 0 };

    /// All of these bytes.
    pub fn of(bytes: &mut Bytes) -> Region {
        Region { base: bytes.base(), len: bytes.len }
    }

    /// Bytes that are only read.
    pub fn to_read(bytes: &[u8]) -> Region {
        Region { base: bytes.as_ptr().cast_mut(), len: bytes.len() }
    }

    /// What lies before byte `at` and what lies from there on.
    pub fn split(self, at: usize) -> [Region; 2] {
        [
            Region { base: self.base, len: at },
            Region { base: self.place(at, self.len.saturating_sub(at)), len: self.len - at },
        ]
    }

    /// The address of `len` bytes from byte `at` on.
    ///
    /// # Panics
    /// If they reach past the end.
    fn place(self, at: usize, len: usize) -> *mut u8 {
        assert!(at <= self.len && len <= self.len - at, "bytes {at} and {len} more reach past {}", self.len);
        // Inside, or just after the last byte.
        self.base.wrapping_add(at)
    }

    /// The address of `len` elements from byte `at` on.
    fn elements<T>(self, at: usize, len: usize) -> *mut T {
        let place = self.place(at, len.saturating_mul(size_of::<T>())).cast::<T>();
        assert!(place.is_aligned(), "byte {at} is no place for an element of {}", size_of::<T>());
        place
    }

    /// Reads `len` elements from byte `at` on.
    ///
    /// # Safety
    /// During `'a` the memory that the region was made of is neither freed nor moved, and nobody writes these elements.
    pub unsafe fn data<'a>(self, at: usize, len: usize, dtype: DType) -> Data<'a> {
        // SAFETY: `elements` has checked place and alignment for the type; a `Bytes` is initialised, as is a slice, and all bits
        // are valid for the types. The rest is as the caller answers for.
        unsafe {
            match dtype {
                DType::F32 => Data::F32(std::slice::from_raw_parts(self.elements(at, len), len)),
                DType::I32 => Data::I32(std::slice::from_raw_parts(self.elements(at, len), len)),
                DType::U8 => Data::U8(std::slice::from_raw_parts(self.elements(at, len), len)),
                DType::Bool => Data::Bool(std::slice::from_raw_parts(self.elements(at, len), len)),
            }
        }
    }

    /// Elements from byte `at` on, to be written.
    ///
    /// # Safety
    /// During `'a` the memory that the region was made of, which is not one [`Region::to_read`], is neither freed nor moved, and
    /// nobody else reads or writes these elements.
    pub unsafe fn data_mut<'a>(self, at: usize, len: usize, dtype: DType) -> DataMut<'a> {
        // SAFETY: as for `data`.
        unsafe {
            match dtype {
                DType::F32 => DataMut::F32(std::slice::from_raw_parts_mut(self.elements(at, len), len)),
                DType::I32 => DataMut::I32(std::slice::from_raw_parts_mut(self.elements(at, len), len)),
                DType::U8 => DataMut::U8(std::slice::from_raw_parts_mut(self.elements(at, len), len)),
                DType::Bool => DataMut::Bool(std::slice::from_raw_parts_mut(self.elements(at, len), len)),
            }
        }
    }

    /// Floats from byte `at` on.
    ///
    /// # Safety
    /// As for [`Region::data`].
    pub unsafe fn floats<'a>(self, at: usize, len: usize) -> &'a [f32] {
        // SAFETY: as for `data`.
        unsafe { std::slice::from_raw_parts(self.elements(at, len), len) }
    }

    /// Floats from byte `at` on, to be written.
    ///
    /// # Safety
    /// As for [`Region::data_mut`].
    pub unsafe fn floats_mut<'a>(self, at: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: as for `data`.
        unsafe { std::slice::from_raw_parts_mut(self.elements(at, len), len) }
    }

    /// Sets `len` bytes from byte `at` on to zero.
    ///
    /// # Safety
    /// As for [`Region::data_mut`].
    pub unsafe fn clear(self, at: usize, len: usize) {
        // SAFETY: `place` has checked that the bytes are inside; the rest is as the caller answers for.
        unsafe { std::ptr::write_bytes(self.place(at, len), 0, len) };
    }
}
