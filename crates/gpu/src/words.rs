//! Elements of the host as the device holds them, one word each, and back.
use std::borrow::Cow;
use tslip_graph::DType;

/// Elements as words.
pub fn widened(bytes: &[u8], dtype: DType) -> Cow<'_, [u8]> {
    match dtype.size() {
        4 => Cow::Borrowed(bytes),
        _ => Cow::Owned(bytes.iter().flat_map(|&b| u32::from(b).to_le_bytes()).collect()),
    }
}

/// Words as elements.
pub fn narrowed(words: &[u8], dtype: DType) -> Vec<u8> {
    match dtype.size() {
        4 => words.to_vec(),
        _ => words.iter().step_by(4).copied().collect(),
    }
}
