//! Groups of about a dozen members, as many abreast as a register has lanes, in working memory.
//!
//! Neighbours are exchanged as in the networks for small groups, so that equal members keep their order: n (n - 1) / 2
//! exchanges for as many groups as there are lanes are fewer instructions than a sort group by group up to this size.
use super::{Direction, Groups};
use crate::simd::{Level, MOST_LANES, Simd, dispatch};

/// The largest groups that are sorted so.
pub const MOST_MEMBERS: usize = 16;

/// Floats of working memory for groups of this size: members, and what moves with them.
pub fn scratch(size: usize) -> usize {
    2 * size * MOST_LANES
}

/// y = x with each group in order.
///
/// # Safety
/// Where all slices have the length of the groups, which have a member at least.
pub unsafe fn sort(level: Level, groups: &Groups, x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    // SAFETY: as the caller answers for.
    unsafe { dispatch!(level, sorted(groups: &Groups, x: &[f32], y: &mut [f32], scratch: &mut [f32])) };
}

/// y = v with each group moved as sorting the group of x moves it, or back.
///
/// # Safety
/// Where all slices have the length of the groups, which have a member at least.
pub unsafe fn permute(
    level: Level,
    groups: &Groups,
    direction: Direction,
    x: &[f32],
    v: &[f32],
    y: &mut [f32],
    scratch: &mut [f32],
) {
    // SAFETY: as the caller answers for.
    unsafe {
        match direction {
            Direction::Sorting => {
                dispatch!(level, moved(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32], scratch: &mut [f32]));
            }
            Direction::Back => {
                dispatch!(level, moved_back(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32], scratch: &mut [f32]));
            }
        }
    }
}

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn sorted<S: Simd>(groups: &Groups, x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    let (members, _) = scratch.split_at_mut(groups.size * S::LANES);
    for block in blocks(groups, S::LANES) {
        // SAFETY: `blocks` are those of the groups, all inside x and y; `split_at_mut` has made a row for each member.
        unsafe {
            block.load::<S>(x, members);
            exchange::<S, false>(members, &mut []);
            block.store::<S>(members, y);
        }
    }
}

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn moved<S: Simd>(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    let (members, values) = scratch.split_at_mut(groups.size * S::LANES);
    let values = &mut values[..members.len()];
    for block in blocks(groups, S::LANES) {
        // SAFETY: `blocks` are those of the groups, all inside x, v and y; `split_at_mut` and the cut have made rows of all
        // members of each.
        unsafe {
            block.load::<S>(x, members);
            block.load::<S>(v, values);
            exchange::<S, true>(members, values);
            block.store::<S>(values, y);
        }
    }
}

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn moved_back<S: Simd>(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32], scratch: &mut [f32]) {
    let (members, places) = scratch.split_at_mut(groups.size * S::LANES);
    let places = &mut places[..members.len()];
    for block in blocks(groups, S::LANES) {
        places.chunks_exact_mut(S::LANES).enumerate().for_each(|(k, row)| row.fill(k as f32));
        // SAFETY: `blocks` are those of the groups, all inside x, v and y; `split_at_mut` and the cut have made rows of all
        // members of each.
        unsafe {
            block.load::<S>(x, members);
            exchange::<S, true>(members, places);
        }
        for lane in 0..block.lanes {
            for (k, row) in places.chunks_exact(S::LANES).enumerate() {
                y[block.at(lane, row[lane] as usize)] = v[block.at(lane, k)];
            }
        }
    }
}

/// Groups that are sorted at once.
struct Block {
    /// The flat index of the first member of the first group.
    start: usize,
    size: usize,
    lanes: usize,
    /// From group to group, and from member to member; one of both is 1.
    steps: [usize; 2],
}

impl Block {
    fn at(&self, lane: usize, member: usize) -> usize {
        self.start + lane * self.steps[0] + member * self.steps[1]
    }

    /// Brings member k of all groups to row k.
    ///
    /// # Safety
    /// Where S may be used, all groups of the block lie inside `from`, and there is a row of a register for each member.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, from: &[f32], rows: &mut [f32]) {
        let whole = self.whole::<S>();
        // SAFETY: a square is as many whole groups as there are lanes by as many of their members, which are neighbours; `whole`
        // has seen to both. It goes to as many rows.
        unsafe {
            for k in (0..whole).step_by(S::LANES) {
                let from = from.as_ptr().add(self.at(0, k));
                S::transpose(from, self.steps[0], rows.as_mut_ptr().add(k * S::LANES), S::LANES);
            }
        }
        for (k, row) in rows.chunks_exact_mut(S::LANES).enumerate().skip(whole) {
            for (lane, value) in row[..self.lanes].iter_mut().enumerate() {
                *value = from[self.at(lane, k)];
            }
            // Lanes without a group are sorted too.
            row[self.lanes..].fill(0.0);
        }
    }

    /// Takes rows back to where the members were.
    ///
    /// # Safety
    /// As for [`Block::load`], with `to` in the place of `from`.
    #[inline(always)]
    unsafe fn store<S: Simd>(&self, rows: &[f32], to: &mut [f32]) {
        let whole = self.whole::<S>();
        // SAFETY: as for `load`, the other way.
        unsafe {
            for k in (0..whole).step_by(S::LANES) {
                let to = to.as_mut_ptr().add(self.at(0, k));
                S::transpose(rows.as_ptr().add(k * S::LANES), S::LANES, to, self.steps[0]);
            }
        }
        for (k, row) in rows.chunks_exact(S::LANES).enumerate().skip(whole) {
            for (lane, &value) in row[..self.lanes].iter().enumerate() {
                to[self.at(lane, k)] = value;
            }
        }
    }

    /// Members that are transposed in squares.
    fn whole<S: Simd>(&self) -> usize {
        let squares = self.steps[1] == 1 && self.lanes == S::LANES;
        if squares { self.size / S::LANES * S::LANES } else { 0 }
    }
}

/// All groups, as many at once as there are lanes.
fn blocks(groups: &Groups, lanes: usize) -> impl Iterator<Item = Block> {
    let Groups { outer, size, stride } = *groups;
    let (rows, each, steps) = if stride == 1 { (1, outer, [size, 1]) } else { (outer, stride, [1, stride]) };
    (0..rows).flat_map(move |row| {
        (0..each).step_by(lanes).map(move |first| {
            let start = row * size * stride + first * steps[0];
            Block { start, size, lanes: lanes.min(each - first), steps }
        })
    })
}

/// Sorts each lane of the rows of `members`; what lies in the rows of `values` moves with them.
///
/// # Safety
/// Where S may be used and, with `VALUES`, `values` is as long as `members`.
#[inline(always)]
unsafe fn exchange<S: Simd, const VALUES: bool>(members: &mut [f32], values: &mut [f32]) {
    let rows = members.len() / S::LANES;
    let (members, values) = (members.as_mut_ptr(), values.as_mut_ptr());
    for round in 0..rows {
        for k in (round % 2..rows - 1).step_by(2) {
            let (low, high) = (k * S::LANES, (k + 1) * S::LANES);
            // SAFETY: k + 1 is below the number of rows, so that both lie inside `members`, and inside `values` where they are used.
            unsafe {
                let (a, b) = (S::load(members.add(low)), S::load(members.add(high)));
                let verdict = S::after(a, b);
                let (a, b) = S::exchange(verdict, a, b);
                S::store(members.add(low), a);
                S::store(members.add(high), b);
                if VALUES {
                    let (a, b) = S::exchange(verdict, S::load(values.add(low)), S::load(values.add(high)));
                    S::store(values.add(low), a);
                    S::store(values.add(high), b);
                }
            }
        }
    }
}
