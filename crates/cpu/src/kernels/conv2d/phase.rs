//! Along one axis, the pixels of an image that meet the same taps of a kernel.
//!
//! With stride s, pixel x of the image and tap k meet where x + padding - k * dilation is a multiple of s. Pixels of one
//! phase, the residue of x modulo s, meet the same taps, and their gradient is a correlation with stride 1 of the
//! cotangent and those taps in reverse order. So no product with a zero between spread pixels is ever formed.

/// One axis of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// Pixels of the image and of the result.
    pub size: usize,
    pub result: usize,
    pub taps: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros before the image.
    pub before: usize,
}

/// Pixels `first`, `first + stride`, ... of the image, `count` of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub first: usize,
    pub count: usize,
    /// Taps in reverse order: `last_tap - i * tap_step` for i from 0 to `taps`.
    pub taps: usize,
    pub last_tap: usize,
    pub tap_step: usize,
    /// Tap i of pixel j meets result j + i * dilation - lead.
    pub dilation: usize,
    pub lead: isize,
}

impl Axis {
    /// Phases in which some pixel meets some tap. Only there the gradient is not zero.
    pub fn phases(self) -> impl Iterator<Item = Phase> + Clone {
        (0..self.stride.min(self.size)).filter_map(move |residue| self.phase(residue))
    }

    /// Whether every pixel is in some phase.
    pub fn is_covered(self) -> bool {
        self.phases().map(|p| p.count).sum::<usize>() == self.size
    }

    fn phase(self, residue: usize) -> Option<Phase> {
        let s = self.stride;
        let meets = |tap: &usize| (residue + self.before) % s == tap * self.dilation % s;
        let first_tap = (0..self.taps).find(meets)?;
        let tap_step = s / gcd(s, self.dilation);
        let taps = (self.taps - 1 - first_tap) / tap_step + 1;
        let dilation = tap_step * self.dilation / s;
        // Pixel residue + j * s meets result j + nearest under the first tap, results before it under the others.
        let nearest = (residue as isize + self.before as isize - (first_tap * self.dilation) as isize) / s as isize;
        let reach = ((taps - 1) * dilation) as isize;
        let from = (-nearest).max(0);
        let to = ((self.size - residue).div_ceil(s) as isize).min(self.result as isize - nearest + reach);
        (from < to).then(|| Phase {
            first: residue + from as usize * s,
            count: (to - from) as usize,
            taps,
            last_tap: first_tap + (taps - 1) * tap_step,
            tap_step,
            dilation,
            lead: reach - nearest - from,
        })
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_hold_every_meeting_of_a_pixel_and_a_tap_exactly_once() {
        for (size, taps, stride, dilation, before, after) in [
            (14, 3, 1, 1, 1, 1),
            (16, 3, 2, 1, 1, 1),
            (9, 5, 2, 1, 2, 2),
            (7, 2, 3, 2, 4, 5),
            (11, 3, 4, 3, 0, 6),
            (3, 2, 9, 1, 1, 1),
            (12, 4, 2, 4, 5, 3),
            (5, 1, 2, 1, 0, 0),
            (6, 3, 3, 3, 2, 2),
        ] {
            let result = (size + before + after - (taps - 1) * dilation - 1) / stride + 1;
            let axis = Axis { size, result, taps, stride, dilation, before };
            let mut found = vec![];
            for p in axis.phases() {
                for (j, i) in (0..p.count).flat_map(|j| (0..p.taps).map(move |i| (j, i))) {
                    let y = j as isize + (i * p.dilation) as isize - p.lead;
                    if (0..result as isize).contains(&y) {
                        found.push((p.first + j * stride, p.last_tap - i * p.tap_step, y as usize));
                    }
                }
                assert!(p.lead <= ((p.taps - 1) * p.dilation) as isize, "{axis:?} {p:?}");
                assert!(p.count as isize - p.lead <= result as isize, "{axis:?} {p:?}");
            }
            let mut wanted: Vec<_> = (0..result)
                .flat_map(|y| (0..taps).map(move |k| ((y * stride + k * dilation).wrapping_sub(before), k, y)))
                .filter(|&(x, ..)| x < size)
                .collect();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{axis:?}");
        }
    }
}
