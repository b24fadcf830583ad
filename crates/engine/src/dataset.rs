//! A data set that lives in the engine: images as they are stored, targets as integers or floats of any shape.
use std::sync::Arc;
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::{DType, Error, Result, Spec};

/// Images and targets of a data set.
#[derive(Debug)]
pub struct Dataset {
    /// Number of samples.
    pub len: usize,
    /// Shape and element type of one image.
    pub image: Spec,
    /// Shape and element type of the target of one sample.
    pub target: Spec,
    images: Bytes,
    targets: Bytes,
    /// Ends when the data set does.
    pub(crate) life: Arc<()>,
}

impl Dataset {
    /// A data set of as many samples as there are targets of this shape and element type, which is i32 or f32.
    pub fn new(image: Spec, images: &[u8], target: Spec, targets: &[u8]) -> Result<Self> {
        for (what, spec, other) in [("images", &image, DType::U8), ("targets", &target, DType::I32)] {
            if ![other, DType::F32].contains(&spec.dtype) || spec.is_empty() {
                return Err(Error::argument(format!(
                    "{what} of a data set are {other} or f32 and have elements; given {} of shape {:?}",
                    spec.dtype, spec.shape
                )));
            }
        }
        let len = targets.len() / target.bytes();
        if len == 0 || !targets.len().is_multiple_of(target.bytes()) {
            return Err(Error::shape(format!(
                "a data set needs at least one target, each of {} bytes; {} bytes were given",
                target.bytes(),
                targets.len()
            )));
        }
        if len.checked_mul(image.bytes()) != Some(images.len()) {
            return Err(Error::shape(format!(
                "{len} images of {} elements of type {} take {} bytes, {} were given",
                image.len(),
                image.dtype,
                len.saturating_mul(image.bytes()),
                images.len()
            )));
        }
        Ok(Dataset {
            len,
            image,
            target,
            images: Bytes::copy_of(images)?,
            targets: Bytes::copy_of(targets)?,
            life: Arc::default(),
        })
    }

    /// The images, one after another.
    pub fn images(&self) -> &[u8] {
        self.images.as_ref()
    }

    /// The targets, one after another.
    pub fn targets(&self) -> &[u8] {
        self.targets.as_ref()
    }

    /// Bytes of all images and targets.
    pub fn bytes(&self) -> usize {
        self.images.as_ref().len() + self.targets.as_ref().len()
    }

    /// Copies the samples at `indices` to `images` and `targets`.
    pub fn gather(&self, indices: &[u32], images: &mut [u8], targets: &mut [u8]) {
        rows(self.images.as_ref(), self.image.bytes(), indices, images);
        rows(self.targets.as_ref(), self.target.bytes(), indices, targets);
    }
}

/// Copies the rows of `size` bytes at `indices` one after another.
fn rows(from: &[u8], size: usize, indices: &[u32], to: &mut [u8]) {
    for (row, &index) in to.chunks_exact_mut(size).zip(indices) {
        row.copy_from_slice(&from[index as usize * size..][..size]);
    }
}
