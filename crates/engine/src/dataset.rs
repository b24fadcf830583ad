//! A data set that lives in the engine: images as they are stored, labels as integers.
use std::sync::Arc;
use tslip_cpu::executor::memory::Bytes;
use tslip_graph::{DType, Error, Result, Spec};

/// Images and labels of a data set.
#[derive(Debug)]
pub struct Dataset {
    /// Number of samples.
    pub len: usize,
    /// Shape and element type of one image.
    pub image: Spec,
    images: Bytes,
    labels: Bytes,
    /// Ends when the data set does.
    pub(crate) life: Arc<()>,
}

impl Dataset {
    /// A data set of `labels.len() / 4` samples; labels are 32-bit integers.
    pub fn new(image: Spec, images: &[u8], labels: &[u8]) -> Result<Self> {
        let len = labels.len() / 4;
        if len == 0 || !labels.len().is_multiple_of(4) {
            return Err(Error::argument("a data set needs at least one label, each a 32-bit integer"));
        }
        if !matches!(image.dtype, DType::U8 | DType::F32) || images.len() != len * image.bytes() {
            return Err(Error::shape(format!(
                "{len} images of {} elements of type {} take {} bytes, {} were given",
                image.len(),
                image.dtype,
                len * image.bytes(),
                images.len()
            )));
        }
        Ok(Dataset {
            len,
            image,
            images: Bytes::copy_of(images)?,
            labels: Bytes::copy_of(labels)?,
            life: Arc::default(),
        })
    }

    /// The images, one after another.
    pub fn images(&self) -> &[u8] {
        self.images.as_ref()
    }

    /// The labels.
    pub fn labels(&self) -> &[u8] {
        self.labels.as_ref()
    }

    /// Bytes of all images and labels.
    pub fn bytes(&self) -> usize {
        self.images.as_ref().len() + self.labels.as_ref().len()
    }

    /// Copies the samples at `indices` to `images` and `labels`.
    pub fn gather(&self, indices: &[u32], images: &mut [u8], labels: &mut [u8]) {
        let size = self.image.bytes();
        for (row, &index) in indices.iter().enumerate() {
            let from = index as usize;
            images[row * size..][..size].copy_from_slice(&self.images.as_ref()[from * size..][..size]);
            labels[row * 4..][..4].copy_from_slice(&self.labels.as_ref()[from * 4..][..4]);
        }
    }
}
