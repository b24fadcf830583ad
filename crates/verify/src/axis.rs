//! One axis of a convolution on images of one size: which pixels its windows read.
use serde::Deserialize;

/// What stands around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Zeros.
    #[default]
    Zeros,
    /// The image again, periodically.
    Circular,
    /// Mirrored at the centre of the border pixel.
    Reflect,
    /// The border pixel.
    Replicate,
    /// Mirrored at the edge.
    Symmetric,
}

/// Windows along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub taps: usize,
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
    pub after: usize,
    pub mode: Mode,
    /// Pixels of the image.
    pub size: usize,
}

/// Of taps of all windows along an axis: more are not looked at.
const MOST_READINGS: usize = 1 << 20;

impl Axis {
    /// The axis, if it is one: with a window at least, within the padding that its mode allows, and not too long to look at.
    pub fn checked(self) -> Result<Self, String> {
        let Axis { taps, stride, dilation, before, after, mode, size } = self;
        let widest = before.max(after);
        let fits = match mode {
            Mode::Zeros | Mode::Replicate => true,
            Mode::Reflect => widest < size,
            Mode::Circular | Mode::Symmetric => widest <= size,
        };
        let padded = size.checked_add(before).and_then(|n| n.checked_add(after));
        let span = (taps.max(1) - 1).checked_mul(dilation).and_then(|n| n.checked_add(1));
        let (Some(padded), Some(span)) = (padded, span) else {
            return Err(format!("an axis of {size} pixels with padding {before} and {after} has no size"));
        };
        if taps == 0 || stride == 0 || dilation == 0 || size == 0 || !fits || span > padded {
            return Err(format!(
                "{taps} taps with stride {stride}, dilation {dilation}, padding {before} and {after} do not fit {size} pixels"
            ));
        }
        if padded.saturating_mul(taps) > MOST_READINGS {
            return Err(format!("{taps} taps along {padded} pixels are too many to look at"));
        }
        Ok(self)
    }

    pub fn padded(&self) -> usize {
        self.before + self.size + self.after
    }

    pub fn span(&self) -> usize {
        (self.taps - 1) * self.dilation + 1
    }

    pub fn windows(&self) -> usize {
        (self.padded() - self.span()) / self.stride + 1
    }

    /// The pixel that a position of the padded axis shows, if any.
    fn source(&self, position: usize) -> Option<usize> {
        let (at, n) = (position as isize - self.before as isize, self.size as isize);
        let pixel = match self.mode {
            _ if (0..n).contains(&at) => at,
            Mode::Zeros => return None,
            Mode::Circular => at.rem_euclid(n),
            Mode::Reflect if at < 0 => -at,
            Mode::Reflect => 2 * (n - 1) - at,
            Mode::Replicate => at.clamp(0, n - 1),
            Mode::Symmetric if at < 0 => -1 - at,
            Mode::Symmetric => 2 * n - 1 - at,
        };
        Some(pixel as usize)
    }

    /// The pixel that a tap of a window reads, if any.
    pub fn pixel(&self, window: usize, tap: usize) -> Option<usize> {
        self.source(window * self.stride + tap * self.dilation)
    }

    /// The most taps of all windows that read one pixel.
    pub fn overlap(&self) -> usize {
        let windows = self.windows();
        self.most((0..windows).flat_map(|w| (0..self.taps).filter_map(move |t| self.pixel(w, t))))
    }

    /// The most places of the padded axis that show one pixel.
    pub fn shown(&self) -> usize {
        self.most((0..self.padded()).filter_map(|position| self.source(position)))
    }

    fn most(&self, pixels: impl Iterator<Item = usize>) -> usize {
        let mut counts = vec![0; self.size];
        pixels.for_each(|pixel| counts[pixel] += 1);
        counts.into_iter().max().unwrap_or(0)
    }
}
