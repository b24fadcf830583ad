//! Sorting inside groups along an axis (GroupSort), and moving values as a sort moves them.
//!
//! The order is ascending with NaN last; what is equal, as -0 and 0 or two NaN are, stays in its order.
use super::product;
use crate::simd::Level;

pub mod keys;
mod network;
mod pairs;
mod wide;

pub use pairs::{group_permute2, group_sort2};

/// `outer` groups of `size` members, each member a row of `stride` floats: every float of a row is in a group with those
/// at its place in the other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Groups {
    pub outer: usize,
    pub size: usize,
    pub stride: usize,
}

/// Where values of a group go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The value at the member of rank k goes to place k.
    Sorting,
    /// The value at place k goes to the member of rank k.
    Back,
}

impl Groups {
    /// Floats of working memory that the functions here need.
    pub fn scratch(&self) -> usize {
        match self.size {
            0..=network::MOST_MEMBERS => 0,
            size @ ..=wide::MOST_MEMBERS => wide::scratch(size),
            size => keys::scratch(size),
        }
    }

    /// Refuses slices that are not as long as all groups, or too little working memory. What is unsafe in this module rests on it.
    fn check(&self, lengths: &[usize], scratch: usize) {
        let need = product([self.outer, self.size, self.stride]);
        assert!(lengths.iter().all(|&n| n == need), "{self:?} needs {need} floats, not {lengths:?}");
        assert!(scratch >= self.scratch(), "{self:?} needs {} floats of scratch, not {scratch}", self.scratch());
    }

    /// Calls `group` with the flat index of the first member of each group.
    fn each(&self, mut group: impl FnMut(usize)) {
        for block in 0..self.outer {
            (0..self.stride).for_each(|i| group(block * self.size * self.stride + i));
        }
    }
}

/// y = x with each group in order.
///
/// # Panics
/// If the slices are not as long as `groups` says.
pub fn group_sort(level: Level, groups: &Groups, x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    groups.check(&[x.len(), y.len()], scratch.len());
    match (groups.size, groups.stride) {
        (0 | 1, _) => y.copy_from_slice(x),
        (2, 1) => group_sort2(level, x, y),
        // SAFETY: `check` found the slices to have the length of the groups, which have two members to `MOST_MEMBERS`.
        (3..=network::MOST_MEMBERS, _) | (2, _) => unsafe { network::sort(level, groups, x, y) },
        // SAFETY: the same of these, which have more, and of the working memory.
        (..=wide::MOST_MEMBERS, _) => unsafe { wide::sort(level, groups, x, y, scratch) },
        (size, stride) => {
            let mut keys = keys::Keys::new(scratch, size);
            groups.each(|first| {
                keys.sort((0..size).map(|k| keys::ascending(x[first + k * stride])));
                for (k, member) in keys.positions().enumerate() {
                    y[first + k * stride] = x[first + member * stride];
                }
            });
        }
    }
}

/// y = v with the values of each group moved as sorting the group of x moves its members, or back.
///
/// # Panics
/// If the slices are not as long as `groups` says.
pub fn group_permute(
    level: Level,
    groups: &Groups,
    direction: Direction,
    x: &[f32],
    v: &[f32],
    y: &mut [f32],
    scratch: &mut [f32],
) {
    groups.check(&[x.len(), v.len(), y.len()], scratch.len());
    match (groups.size, groups.stride) {
        (0 | 1, _) => y.copy_from_slice(v),
        (2, 1) => group_permute2(level, x, v, y),
        // SAFETY: `check` found the slices to have the length of the groups, which have two members to `MOST_MEMBERS`.
        (3..=network::MOST_MEMBERS, _) | (2, _) => unsafe { network::permute(level, groups, direction, x, v, y) },
        // SAFETY: the same of these, which have more, and of the working memory.
        (..=wide::MOST_MEMBERS, _) => unsafe { wide::permute(level, groups, direction, x, v, y, scratch) },
        (size, stride) => {
            let mut keys = keys::Keys::new(scratch, size);
            groups.each(|first| {
                keys.sort((0..size).map(|k| keys::ascending(x[first + k * stride])));
                for (k, member) in keys.positions().enumerate() {
                    let (to, from) = match direction {
                        Direction::Sorting => (k, member),
                        Direction::Back => (member, k),
                    };
                    y[first + to * stride] = v[first + from * stride];
                }
            });
        }
    }
}
