//! Sorting networks for small groups, as many groups abreast as a register has lanes.
//!
//! Only neighbours are compared (odd-even transposition, Habermann 1972): n (n - 1) / 2 exchanges, each of two members
//! in the wrong order, which never moves equal members past one another.
use super::{Direction, Groups};
use crate::simd::{Level, Simd, dispatch};

/// The largest groups that a network sorts.
pub const MOST_MEMBERS: usize = 8;

/// y = x with each group in order.
///
/// # Safety
/// Where all slices have the length of the groups, which have 2 to [`MOST_MEMBERS`] members.
pub unsafe fn sort(level: Level, groups: &Groups, x: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for.
    unsafe { dispatch!(level, sorted(groups: &Groups, x: &[f32], y: &mut [f32])) };
}

/// y = v with each group moved as sorting the group of x moves it, or back.
///
/// # Safety
/// Where all slices have the length of the groups, which have 2 to [`MOST_MEMBERS`] members.
pub unsafe fn permute(level: Level, groups: &Groups, direction: Direction, x: &[f32], v: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for.
    unsafe {
        match direction {
            Direction::Sorting => dispatch!(level, moved(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32])),
            Direction::Back => dispatch!(level, moved_back(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32])),
        }
    }
}

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn sorted<S: Simd>(groups: &Groups, x: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for.
    unsafe { of_size::<S, SORT>(groups, x, x, y) }
}

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn moved<S: Simd>(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for.
    unsafe { of_size::<S, MOVE>(groups, x, v, y) }
}

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn moved_back<S: Simd>(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for.
    unsafe { of_size::<S, MOVE_BACK>(groups, x, v, y) }
}

/// What a network is used for.
const SORT: u8 = 0;
const MOVE: u8 = 1;
const MOVE_BACK: u8 = 2;

/// # Safety
/// As for [`sort`], and S may be used.
#[inline(always)]
unsafe fn of_size<S: Simd, const USE: u8>(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for, and the size is that of the groups.
    unsafe {
        match groups.size {
            2 => all::<S, 2, USE>(groups, x, v, y),
            3 => all::<S, 3, USE>(groups, x, v, y),
            4 => all::<S, 4, USE>(groups, x, v, y),
            5 => all::<S, 5, USE>(groups, x, v, y),
            6 => all::<S, 6, USE>(groups, x, v, y),
            7 => all::<S, 7, USE>(groups, x, v, y),
            8 => all::<S, 8, USE>(groups, x, v, y),
            size => unreachable!("groups of {size} have no network"),
        }
    }
}

/// # Safety
/// As for [`sort`], and S may be used; the groups have `G` members.
#[inline(always)]
unsafe fn all<S: Simd, const G: usize, const USE: u8>(groups: &Groups, x: &[f32], v: &[f32], y: &mut [f32]) {
    let Groups { outer, stride, .. } = *groups;
    let (x, v, y) = (x.as_ptr(), v.as_ptr(), y.as_mut_ptr());
    // SAFETY: a register or a part of one is as many groups as follow from `at` on in the block: with all their members inside
    // the slices.
    unsafe {
        if stride == 1 {
            let tail = outer % S::LANES;
            for group in (0..outer - tail).step_by(S::LANES) {
                let at = group * G;
                together::<S, G, USE, false>(x.add(at), v.add(at), y.add(at), S::LANES);
            }
            if tail > 0 {
                let at = (outer - tail) * G;
                together::<S, G, USE, true>(x.add(at), v.add(at), y.add(at), tail);
            }
            return;
        }
        let tail = stride % S::LANES;
        for block in 0..outer {
            let first = block * G * stride;
            for at in (first..first + stride - tail).step_by(S::LANES) {
                apart::<S, G, USE, false>([x.add(at), v.add(at)], y.add(at), stride, S::LANES);
            }
            if tail > 0 {
                let at = first + stride - tail;
                apart::<S, G, USE, true>([x.add(at), v.add(at)], y.add(at), stride, tail);
            }
        }
    }
}

/// `n` groups whose members are `stride` floats apart, the groups side by side.
///
/// # Safety
/// Where S may be used; each pointer is that of the first member of the first of `n` groups inside a slice, and `n` is what a
/// register has, or with `TAIL` less.
#[inline(always)]
unsafe fn apart<S: Simd, const G: usize, const USE: u8, const TAIL: bool>(
    [x, v]: [*const f32; 2],
    y: *mut f32,
    stride: usize,
    n: usize,
) {
    // SAFETY: member k of each group is k strides from the first.
    unsafe {
        let mut members = [S::splat(0.0); G];
        let mut values = members;
        for k in 0..G {
            members[k] = load::<S, TAIL>(x.add(k * stride), n);
            if USE != SORT {
                values[k] = load::<S, TAIL>(v.add(k * stride), n);
            }
        }
        let result = network::<S, G, USE>(members, values);
        for (k, member) in result.into_iter().enumerate() {
            store::<S, TAIL>(y.add(k * stride), member, n);
        }
    }
}

/// `n` groups one after the other, the members of each side by side.
///
/// # Safety
/// As for [`apart`].
#[inline(always)]
unsafe fn together<S: Simd, const G: usize, const USE: u8, const TAIL: bool>(
    x: *const f32,
    v: *const f32,
    y: *mut f32,
    n: usize,
) {
    // SAFETY: registers hold what they have of the `n * G` floats from the pointer on; where they have none, it may wrap, as
    // nothing is read or written.
    unsafe {
        let members = members::<S, G, TAIL>(x, n);
        let values = if USE == SORT { members } else { self::members::<S, G, TAIL>(v, n) };
        let result = network::<S, G, USE>(members, values);
        let table = &Moves::<S, G>::TOGETHER;
        for register in 0..G {
            let mut out = S::lookup(result[0], &table.lanes[register]);
            for (k, &member) in result.iter().enumerate().skip(1) {
                out = S::select(table.masks[register][k], S::lookup(member, &table.lanes[register]), out);
            }
            store::<S, TAIL>(y.wrapping_add(register * S::LANES), out, held::<S>(register, n * G));
        }
    }
}

/// Register k holds member k of `n` groups that lie one after the other.
///
/// # Safety
/// As for [`apart`].
#[inline(always)]
unsafe fn members<S: Simd, const G: usize, const TAIL: bool>(x: *const f32, n: usize) -> [S::V; G] {
    // SAFETY: registers hold what they have of the `n * G` floats from the pointer on; where they have none, it may wrap, as
    // nothing is read.
    unsafe {
        let mut raw = [S::splat(0.0); G];
        for (register, raw) in raw.iter_mut().enumerate() {
            *raw = load::<S, TAIL>(x.wrapping_add(register * S::LANES), held::<S>(register, n * G));
        }
        let table = &Moves::<S, G>::APART;
        let mut members = raw;
        for (k, member) in members.iter_mut().enumerate() {
            *member = S::lookup(raw[0], &table.lanes[k]);
            for (register, &raw) in raw.iter().enumerate().skip(1) {
                *member = S::select(table.masks[k][register], S::lookup(raw, &table.lanes[k]), *member);
            }
        }
        members
    }
}

/// Sorts the members of each lane, or moves the values as that would.
///
/// # Safety
/// Where S may be used.
#[inline(always)]
unsafe fn network<S: Simd, const G: usize, const USE: u8>(mut members: [S::V; G], mut values: [S::V; G]) -> [S::V; G] {
    // SAFETY: S may be used; registers alone are touched.
    unsafe {
        let mut verdicts = [[S::after(members[0], members[0]); G]; G];
        for (round, verdicts) in verdicts.iter_mut().enumerate() {
            for k in (round % 2..G - 1).step_by(2) {
                let verdict = S::after(members[k], members[k + 1]);
                verdicts[k] = verdict;
                (members[k], members[k + 1]) = S::exchange(verdict, members[k], members[k + 1]);
                if USE == MOVE {
                    (values[k], values[k + 1]) = S::exchange(verdict, values[k], values[k + 1]);
                }
            }
        }
        if USE == MOVE_BACK {
            for (round, verdicts) in verdicts.iter().enumerate().rev() {
                for k in (round % 2..G - 1).step_by(2) {
                    (values[k], values[k + 1]) = S::exchange(verdicts[k], values[k], values[k + 1]);
                }
            }
        }
    }
    if USE == SORT { members } else { values }
}

/// How lanes of G registers move to others: lane i of register r comes from lane `lanes[r][i]` of that register of
/// which bit i of `masks[r]` is set.
struct Table<const G: usize> {
    lanes: [[u32; 16]; G],
    masks: [[u32; G]; G],
}

struct Moves<S, const G: usize>(std::marker::PhantomData<S>);

impl<S: Simd, const G: usize> Moves<S, G> {
    /// From groups one after the other to a register a member.
    const APART: Table<G> = {
        let mut table = Table { lanes: [[0; 16]; G], masks: [[0; G]; G] };
        let (mut member, mut lane) = (0, 0);
        while member < G {
            let at = lane * G + member;
            table.lanes[member][lane] = (at % S::LANES) as u32;
            table.masks[member][at / S::LANES] |= 1 << lane;
            lane = (lane + 1) % S::LANES;
            member += (lane == 0) as usize;
        }
        table
    };

    /// And back.
    const TOGETHER: Table<G> = {
        let mut table = Table { lanes: [[0; 16]; G], masks: [[0; G]; G] };
        let mut at = 0;
        while at < G * S::LANES {
            let (register, lane) = (at / S::LANES, at % S::LANES);
            table.lanes[register][lane] = (at / G) as u32;
            table.masks[register][at % G] |= 1 << lane;
            at += 1;
        }
        table
    };
}

/// How many of `len` floats lie in this register.
#[inline(always)]
fn held<S: Simd>(register: usize, len: usize) -> usize {
    len.saturating_sub(register * S::LANES).min(S::LANES)
}

/// # Safety
/// Where S may be used and n floats may be read, which are all lanes unless `TAIL`.
#[inline(always)]
unsafe fn load<S: Simd, const TAIL: bool>(from: *const f32, n: usize) -> S::V {
    // SAFETY: without `TAIL` n is all lanes, as the caller answers for.
    unsafe { if TAIL { S::load_partial(from, n) } else { S::load(from) } }
}

/// # Safety
/// Where S may be used and n floats may be written, which are all lanes unless `TAIL`.
#[inline(always)]
unsafe fn store<S: Simd, const TAIL: bool>(to: *mut f32, v: S::V, n: usize) {
    // SAFETY: without `TAIL` n is all lanes, as the caller answers for.
    unsafe { if TAIL { S::store_partial(to, v, n) } else { S::store(to, v) } }
}
