//! Where padded elements come from: one map of positions for each axis, applied to runs of memory.
use serde::{Deserialize, Serialize};
use tslip_graph::spec::strides;
use tslip_graph::{Error, Result};

use super::check_per_axis;

/// What padding consists of, shown for `1 2 3` with two elements on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `0 0 1 2 3 0 0` for the value 0.
    Constant = 0,
    /// `3 2 1 2 3 2 1`: mirrored at the outermost element; at most extent - 1 on a side.
    Reflect = 1,
    /// `1 1 1 2 3 3 3`; the extent must not be 0.
    Replicate = 2,
    /// `2 3 1 2 3 1 2`; at most the extent on a side.
    Circular = 3,
    /// `2 1 1 2 3 3 2`: mirrored at the edge; at most the extent on a side.
    Symmetric = 4,
}

/// The padding of all axes.
#[derive(Clone, Copy, Debug)]
pub struct Padding<'a> {
    /// Elements added at the start of each axis.
    pub before: &'a [usize],
    /// Elements added at its end.
    pub after: &'a [usize],
    /// What they are.
    pub mode: Mode,
}

impl Padding<'_> {
    /// Refuses lists of wrong length and padding that the mode cannot make from a tensor of shape `x`.
    pub fn check(&self, x: &[usize]) -> Result<()> {
        check_per_axis("before", self.before, x)?;
        check_per_axis("after", self.after, x)?;
        for (axis, (&extent, (&before, &after))) in x.iter().zip(self.before.iter().zip(self.after)).enumerate() {
            let most = match self.mode {
                Mode::Constant => usize::MAX,
                Mode::Replicate if extent > 0 => usize::MAX,
                Mode::Replicate => 0,
                Mode::Reflect => extent.saturating_sub(1),
                Mode::Circular | Mode::Symmetric => extent,
            };
            if before.max(after) > most {
                return Err(Error::argument(format!(
                    "padding by {before} and {after} on axis {axis} of extent {extent}: mode \"{}\" adds at most \
                     {most} on a side",
                    format!("{:?}", self.mode).to_lowercase()
                )));
            }
        }
        Ok(())
    }

    /// The shape of a tensor of shape `x` with its padding; extents beyond every limit are left at the limit.
    pub fn padded(&self, x: &[usize]) -> Vec<usize> {
        let sides = self.before.iter().zip(self.after);
        x.iter().zip(sides).map(|(n, (before, after))| n.saturating_add(*before).saturating_add(*after)).collect()
    }

    /// The position of which position `i` of a padded axis is a copy, `None` if it holds the constant.
    pub fn source(&self, axis: usize, extent: usize, i: usize) -> Option<usize> {
        let before = self.before[axis];
        if (before..before + extent).contains(&i) {
            return Some(i - before);
        }
        let mirrored = |edge: usize| if i < before { before - i - edge } else { 2 * extent + before - 2 + edge - i };
        match self.mode {
            Mode::Constant => None,
            Mode::Replicate => Some(i.saturating_sub(before).min(extent - 1)),
            Mode::Circular => Some((i + extent - before) % extent),
            Mode::Reflect => Some(mirrored(0)),
            Mode::Symmetric => Some(mirrored(1)),
        }
    }

    /// Calls `run(to, from, length)` for stretches that cover the padded tensor of an `x` of this shape, `from` the
    /// place in x that is copied there.
    pub fn each_run(&self, x: &[usize], run: &mut impl FnMut(usize, Option<usize>, usize)) {
        let padded = self.padded(x);
        match (0..x.len()).rfind(|&i| padded[i] > x[i]) {
            None => run(0, Some(0), x.iter().product()),
            Some(last) => self.along(&Axes { x, from: strides(x), to: strides(&padded), last }, 0, 0, 0, run),
        }
    }

    fn along(
        &self,
        axes: &Axes<'_>,
        axis: usize,
        from: usize,
        to: usize,
        run: &mut impl FnMut(usize, Option<usize>, usize),
    ) {
        let (extent, before, after) = (axes.x[axis], self.before[axis], self.after[axis]);
        let (small, large) = (axes.from[axis], axes.to[axis]);
        let last = axis == axes.last;
        let mut one = |i: usize| match self.source(axis, extent, i) {
            None => run(to + i * large, None, large),
            Some(s) if last => run(to + i * large, Some(from + s * small), small),
            Some(s) => self.along(axes, axis + 1, from + s * small, to + i * large, run),
        };
        (0..before).for_each(&mut one);
        if !last {
            (before..before + extent).for_each(&mut one);
        }
        (before + extent..before + extent + after).for_each(&mut one);
        if last {
            run(to + before * large, Some(from), extent * small);
        }
    }
}

/// Shape and strides while walking; behind axis `last` nothing is padded.
struct Axes<'a> {
    x: &'a [usize],
    from: Vec<usize>,
    to: Vec<usize>,
    last: usize,
}
