//! One axis of a convolution: which pixels its windows and its padding read, and how often.
use serde::Deserialize;

use crate::error::{Error, Result};

/// The largest extent (kernel with dilation, padding, stride) for which taps are counted size by size.
const LARGEST_COUNTED: usize = 2048;

/// What stands around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaddingMode {
    /// Zeros: no pixel is copied.
    #[default]
    Zeros,
    /// The image again, periodically.
    Circular,
    /// Mirrored at the centre of the border pixel, which is not repeated.
    Reflect,
    /// The border pixel again and again.
    Replicate,
    /// Mirrored at the edge: the border pixel is repeated.
    Symmetric,
}

/// One axis of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Taps of the kernel.
    pub kernel: usize,
    /// Pixels between windows.
    pub stride: usize,
    /// Pixels between taps of a window.
    pub dilation: usize,
    /// Pixels added before and after the image.
    pub padding: (usize, usize),
    /// What they hold.
    pub mode: PaddingMode,
    /// Pixels of the image, if known.
    pub size: Option<usize>,
    /// Whether they are a multiple of the stride, if they are not known.
    pub whole_strides: bool,
}

/// The most window taps that read one pixel along an axis, copies of it in the padding included.
///
/// Without a size: the largest over all sizes that the padding mode allows (reflect: above the padding; circular and
/// symmetric: at least the padding) and that hold a window. With zeros this is ceil(k / (s / gcd(s, d))): taps i and j
/// of two windows meet in a pixel only where (i - j) d is a multiple of s. `INVALID_ARGUMENT` for a size that the mode
/// or the kernel does not allow and for extents beyond 2048 in the modes that copy pixels.
pub fn overlap(axis: &Axis) -> Result<usize> {
    let Axis { kernel, stride, dilation, padding: (before, after), mode, size, .. } = *axis;
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(Error::argument(format!(
            "kernel {kernel}, stride {stride} and dilation {dilation} must be at least 1"
        )));
    }
    let span = dilation.saturating_mul(kernel - 1).saturating_add(1);
    let widest = before.max(after);
    let smallest = match mode {
        PaddingMode::Zeros | PaddingMode::Replicate => 1,
        PaddingMode::Reflect => widest.saturating_add(1),
        PaddingMode::Circular | PaddingMode::Symmetric => widest.max(1),
    };
    let smallest = smallest.max(span.saturating_sub(before.saturating_add(after)));
    if let Some(n) = size
        && n < smallest
    {
        let named = format!("{mode:?}").to_lowercase();
        return Err(Error::argument(format!(
            "an image axis of {n} is too small for kernel {kernel}, dilation {dilation}, padding ({before}, {after}), \
             paddingMode \"{named}\"; at least {smallest} is needed"
        )));
    }
    let countable = [span, before, after, stride].iter().all(|&v| v <= LARGEST_COUNTED);
    // Which holds for every size.
    if mode == PaddingMode::Zeros && (size.is_none() || !countable) {
        return Ok(kernel.div_ceil(stride / gcd(stride, dilation)));
    }
    if !countable {
        return Err(Error::argument(format!(
            "kernel {kernel}, dilation {dilation}, padding ({before}, {after}), stride {stride}: taps are counted up to \
             extents of {LARGEST_COUNTED}; use smaller ones"
        )));
    }
    // From this size on an axis of n pixels and one of n + stride have the same counts, so that a larger size has those of
    // the one below `settled + stride` that differs from it by a multiple of the stride. Below the pixel max(span, before + 1)
    // - 1 windows may be missing at the first border or pixels be copied into it, above the pixel n - max(span, after + 2) the
    // same at the last one; in between the count has period `stride`, and there are at least `stride` pixels. A longer axis
    // has a period more there, and at each end the same windows and copies at the same distance from it.
    let settled = span.max(before + 1) + span.max(after + 2) + stride;
    let mut taps = Taps::default();
    Ok(match size {
        Some(n) if n > settled => taps.most(axis, span, settled + (n - settled) % stride),
        Some(n) => taps.most(axis, span, n),
        None => (smallest..settled + stride).map(|n| taps.most(axis, span, n)).max().unwrap_or(0),
    })
}

/// Taps at each position of a padded axis; memory for one size after another.
#[derive(Default)]
struct Taps {
    at: Vec<isize>,
}

impl Taps {
    /// The most taps of all windows that fall on one pixel of an image axis of `size` pixels, in time proportional to the
    /// padded axis: a window adds 1 at its first tap and takes it away behind its last, and sums in steps of the dilation
    /// spread that over its taps.
    fn most(&mut self, axis: &Axis, span: usize, size: usize) -> usize {
        let (Axis { stride, dilation, mode, .. }, (before, after)) = (*axis, axis.padding);
        let length = before + size + after;
        self.at.clear();
        self.at.resize(length, 0);
        for start in (0..=length - span).step_by(stride) {
            self.at[start] += 1;
            if let Some(behind) = self.at.get_mut(start + span - 1 + dilation) {
                *behind -= 1;
            }
        }
        for i in dilation..length {
            self.at[i] += self.at[i - dilation];
        }
        for i in (0..before).chain(before + size..length) {
            if let Some(pixel) = source(i as isize - before as isize, size as isize, mode) {
                self.at[before + pixel as usize] += self.at[i];
            }
        }
        self.at[before..before + size].iter().copied().max().map_or(0, |most| most as usize)
    }
}

/// The pixel that position `at` (relative to the image) shows, if any.
pub(crate) fn source(at: isize, size: isize, mode: PaddingMode) -> Option<isize> {
    if (0..size).contains(&at) {
        return Some(at);
    }
    match mode {
        PaddingMode::Zeros => None,
        PaddingMode::Circular => Some(at.rem_euclid(size)),
        PaddingMode::Reflect => Some(if at < 0 { -at } else { 2 * (size - 1) - at }),
        PaddingMode::Replicate => Some(at.clamp(0, size - 1)),
        PaddingMode::Symmetric => Some(if at < 0 { -1 - at } else { 2 * size - 1 - at }),
    }
}

pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
