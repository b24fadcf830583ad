//! Walks over windows a register at a time, whichever way the values of a register lie.
use super::Windows;
use crate::simd::{MOST_LANES, Simd};

/// How the lanes of a register lie in memory.
///
/// # Safety
/// An implementation reads and writes the floats of its lanes and no others. Its methods may be called where S may be used, which
/// has that many lanes, and these floats may be read or written.
#[allow(clippy::missing_safety_doc, reason = "the trait says it of all")]
pub unsafe trait Place: Copy {
    /// The lanes, zeros after them.
    unsafe fn load<S: Simd>(self, from: *const f32) -> S::V;
    /// Writes the lanes.
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V);
}

/// All lanes side by side.
#[derive(Clone, Copy)]
pub struct All;

/// So many lanes side by side.
#[derive(Clone, Copy)]
pub struct First(usize);

/// So many lanes, each `step` floats from the last.
#[derive(Clone, Copy)]
pub struct Apart {
    n: usize,
    step: usize,
}

// SAFETY: reads and writes a register.
unsafe impl Place for All {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32) -> S::V {
        // SAFETY: as the caller answers for.
        unsafe { S::load(from) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V) {
        // SAFETY: as the caller answers for.
        unsafe { S::store(to, v) }
    }
}

// SAFETY: reads and writes n floats.
unsafe impl Place for First {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32) -> S::V {
        // SAFETY: as the caller answers for: n is at most the lanes of S.
        unsafe { S::load_partial(from, self.0) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V) {
        // SAFETY: as the caller answers for: n is at most the lanes of S.
        unsafe { S::store_partial(to, v, self.0) }
    }
}

// SAFETY: reads and writes n floats; the arrays are sliced for each, and hold the widest register.
unsafe impl Place for Apart {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32) -> S::V {
        let mut each = [0.0; MOST_LANES];
        for (i, lane) in each[..self.n].iter_mut().enumerate() {
            // SAFETY: i is below n, so that this is the float of a lane.
            *lane = unsafe { *from.add(i * self.step) };
        }
        // SAFETY: S may be used, as the caller answers for; the array holds the widest register.
        unsafe { S::load(each.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V) {
        let mut each = [0.0; MOST_LANES];
        // SAFETY: S may be used, as the caller answers for; the array holds the widest register.
        unsafe { S::store(each.as_mut_ptr(), v) };
        for (i, &lane) in each[..self.n].iter().enumerate() {
            // SAFETY: i is below n, so that this is the float of a lane.
            unsafe { *to.add(i * self.step) = lane };
        }
    }
}

/// Where a register of windows is.
#[derive(Clone, Copy)]
pub struct At {
    /// The flat index of its first window's first tap.
    pub from: usize,
    /// The flat index of its first window.
    pub to: usize,
    /// Its lanes.
    pub n: usize,
}

/// What is made of all taps of a register of windows.
pub trait Gather {
    /// Works on the windows at `at`.
    ///
    /// # Safety
    /// Where S may be used; all lanes of `taps` lie inside what the body holds of images, at every tap from `at.from` on, and all
    /// of `pooled` inside what it holds of windows, at `at.to`. There are `at.n` of them, at most those of S.
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At);
}

/// What each tap of a register of windows is given.
pub trait Spread {
    /// What all taps need of the windows.
    type Share<S: Simd>: Copy;

    /// Reads the windows at `at`.
    ///
    /// # Safety
    /// As for [`Gather::part`], of the windows.
    unsafe fn share<S: Simd>(&self, pooled: impl Place, at: At) -> Self::Share<S>;

    /// Gives the tap at the flat index `tap` its part.
    ///
    /// # Safety
    /// As for [`Gather::part`], of this tap.
    unsafe fn give<S: Simd>(&mut self, share: &Self::Share<S>, taps: impl Place, tap: usize, at: At);

    /// What a single lane's taps need of the window at this flat index.
    type Single: Copy;

    /// Reads the window at the flat index `at`.
    fn single(&self, at: usize) -> Self::Single;

    /// Gives the tap at the flat index `tap` its part.
    fn give_single(&mut self, share: &Self::Single, tap: usize);
}

/// Windows line by line: columns of neighbouring floats.
#[derive(Clone, Copy)]
struct Grid {
    lines: usize,
    columns: usize,
    inner: usize,
    step: usize,
}

impl Grid {
    /// Windows one pixel apart are one long column, as their taps are neighbours too.
    fn of(windows: &Windows) -> Grid {
        let ([lines, columns], inner) = (windows.lines(), windows.inner);
        match windows.stride[1] {
            1 => Grid { lines, columns: 1, inner: columns * inner, step: 0 },
            _ => Grid { lines, columns, inner, step: windows.step() },
        }
    }

    /// Whether vectors run along windows, as each has but one float.
    fn across(&self) -> bool {
        self.inner == 1 && self.columns > 1
    }
}

/// Calls `body` for all windows.
///
/// # Safety
/// Where S may be used and [`Windows::check`] has passed for the lengths of the body's slices.
#[inline(always)]
pub unsafe fn gather<S: Simd>(windows: &Windows, mut body: impl Gather) {
    let grid = Grid::of(windows);
    // The compiler unrolls the taps where it knows their number.
    // SAFETY: as the caller answers for; the body is given windows that there are.
    unsafe {
        match windows.kernel {
            _ if grid.across() => along_windows::<S>(windows, grid, &mut body),
            [2, 2] => along_channels::<S>(&Windows { kernel: [2, 2], ..*windows }, grid, &mut body),
            _ => along_channels::<S>(windows, grid, &mut body),
        }
    }
}

/// # Safety
/// As for [`gather`], with the grid of the windows.
#[inline(always)]
unsafe fn along_channels<S: Simd>(windows: &Windows, grid: Grid, body: &mut impl Gather) {
    let Grid { lines, columns, inner, step } = grid;
    let tail = inner % S::LANES;
    for line in 0..lines {
        let first = windows.corner(line);
        for column in 0..columns {
            let (from, to) = (first + column * step, (line * columns + column) * inner);
            // SAFETY: S may be used; lanes from i on end inside the column, whose floats are `inner` for every window and each of
            // its taps, in slices that are as long as the windows say: `Windows::check` has found all windows to fit.
            unsafe {
                for i in (0..inner - tail).step_by(S::LANES) {
                    body.part::<S>(windows, All, All, At { from: from + i, to: to + i, n: S::LANES });
                }
                if tail > 0 {
                    let i = inner - tail;
                    body.part::<S>(windows, First(tail), First(tail), At { from: from + i, to: to + i, n: tail });
                }
            }
        }
    }
}

/// # Safety
/// As for [`gather`], with the grid of the windows, whose columns are of one float.
#[inline(always)]
unsafe fn along_windows<S: Simd>(windows: &Windows, grid: Grid, body: &mut impl Gather) {
    let Grid { lines, columns, step, .. } = grid;
    for line in 0..lines {
        let first = windows.corner(line);
        for column in (0..columns).step_by(S::LANES) {
            let n = S::LANES.min(columns - column);
            let at = At { from: first + column * step, to: line * columns + column, n };
            // SAFETY: S may be used; the n lanes are windows of this line, one float each, `step` floats apart under every tap.
            unsafe { body.part::<S>(windows, Apart { n, step }, First(n), at) };
        }
    }
}

/// Calls `body` for all windows, which are `disjoint` or not.
///
/// Adding to pixels that were just written is slow where what is read is not just what one instruction wrote: it waits
/// until that has reached the cache. For this, lanes that are not written count as if they were.
///
/// # Safety
/// Where S may be used and [`Windows::check`] has passed for the lengths of the body's slices.
#[inline(always)]
pub unsafe fn spread<S: Simd>(windows: &Windows, disjoint: bool, body: impl Spread) {
    let grid = Grid::of(windows);
    // SAFETY: as the caller answers for. Disjoint or not, parts are given to taps of windows that there are.
    unsafe {
        if disjoint || windows.inner.is_multiple_of(S::LANES) {
            gather::<S>(windows, EachTap(body));
        } else if grid.columns == 1 || grid.step >= S::LANES && !grid.across() {
            in_turn::<S>(windows, grid, body);
        } else {
            one_by_one(windows, body);
        }
    }
}

struct EachTap<B>(B);

impl<B: Spread> Gather for EachTap<B> {
    #[inline(always)]
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At) {
        // SAFETY: `give` is called for taps of the windows whose lanes the caller answers for.
        unsafe {
            let share = self.0.share::<S>(pooled, at);
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    self.0.give::<S>(&share, taps, at.from + windows.tap(ky, kx), at);
                }
            }
        }
    }
}

/// Registers of windows whose taps are visited in turn, so that what was just written is not what is read next.
const ABREAST: usize = 8;

/// # Safety
/// As for [`spread`], with the grid of the windows.
#[inline(always)]
unsafe fn in_turn<S: Simd>(windows: &Windows, grid: Grid, mut body: impl Spread) {
    let Grid { lines, columns, inner, step } = grid;
    let each = inner.div_ceil(S::LANES);
    for (line, start) in
        (0..lines).flat_map(|line| (0..columns * each).step_by(ABREAST).map(move |start| (line, start)))
    {
        let corner = windows.corner(line);
        let count = ABREAST.min(columns * each - start);
        let place = |i: usize| {
            let (column, lane) = ((start + i) / each, (start + i) % each * S::LANES);
            let to = (line * columns + column) * inner + lane;
            At { from: corner + column * step + lane, to, n: S::LANES.min(inner - lane) }
        };
        // SAFETY: S may be used; the n lanes of each place end inside its column, as in `along_channels`.
        unsafe {
            let mut all = [place(0); ABREAST];
            let mut shares = [body.share::<S>(First(all[0].n), all[0]); ABREAST];
            for i in 1..count {
                all[i] = place(i);
                shares[i] = body.share::<S>(First(all[i].n), all[i]);
            }
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    for (at, share) in all[..count].iter().zip(&shares) {
                        let tap = at.from + windows.tap(ky, kx);
                        if at.n == S::LANES {
                            body.give::<S>(share, All, tap, *at);
                        } else {
                            body.give::<S>(share, First(at.n), tap, *at);
                        }
                    }
                }
            }
        }
    }
}

/// Float after float: what one instruction wrote is what another reads.
#[inline(always)]
fn one_by_one(windows: &Windows, mut body: impl Spread) {
    let ([lines, columns], inner) = (windows.lines(), windows.inner);
    for line in 0..lines {
        let corner = windows.corner(line);
        for (column, i) in (0..columns).flat_map(|column| (0..inner).map(move |i| (column, i))) {
            let share = body.single((line * columns + column) * inner + i);
            let first = corner + column * windows.step() + i;
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    body.give_single(&share, first + windows.tap(ky, kx));
                }
            }
        }
    }
}

/// A mask of the first `n` lanes.
pub fn lanes(n: usize) -> u32 {
    (1 << n) - 1
}

/// Calls `lane` with the number of each bit that is set.
pub fn each_lane(mut mask: u32, mut lane: impl FnMut(usize)) {
    while mask != 0 {
        lane(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}
