//! Walks over windows a register at a time, whichever way the values of a register lie.
use super::Windows;
use crate::simd::Simd;

/// No register has more lanes.
pub const MOST_LANES: usize = 16;

/// How the lanes of a register lie in memory.
///
/// # Safety
/// Pointers follow the rules of `std::ptr::read` and `write` for the lanes named.
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
        // SAFETY: handed on from the caller.
        unsafe { S::load(from) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V) {
        // SAFETY: handed on from the caller.
        unsafe { S::store(to, v) }
    }
}

// SAFETY: reads and writes n floats.
unsafe impl Place for First {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32) -> S::V {
        // SAFETY: handed on from the caller.
        unsafe { S::load_partial(from, self.0) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V) {
        // SAFETY: handed on from the caller.
        unsafe { S::store_partial(to, v, self.0) }
    }
}

// SAFETY: reads and writes n floats, and no register has more lanes than the arrays hold.
unsafe impl Place for Apart {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32) -> S::V {
        let mut each = [0.0; MOST_LANES];
        for (i, lane) in each[..self.n].iter_mut().enumerate() {
            // SAFETY: handed on from the caller.
            *lane = unsafe { *from.add(i * self.step) };
        }
        // SAFETY: the array holds a register.
        unsafe { S::load(each.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, v: S::V) {
        let mut each = [0.0; MOST_LANES];
        // SAFETY: the array holds a register.
        unsafe { S::store(each.as_mut_ptr(), v) };
        for (i, &lane) in each[..self.n].iter().enumerate() {
            // SAFETY: handed on from the caller.
            unsafe { *to.add(i * self.step) = lane };
        }
    }
}

/// What is done with one register of each tap and the register of windows that belongs to them.
pub trait Body {
    /// Works on `n` lanes, of windows from the flat index `to` and of their first taps from `from`.
    ///
    /// # Safety
    /// Where all taps of these lanes lie inside the slices that the body holds, and S may be used.
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At);
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

/// Calls `body` for all windows.
///
/// # Safety
/// Where the body's slices are as long as `windows` says, and S may be used.
#[inline(always)]
pub unsafe fn walk<S: Simd>(windows: &Windows, mut body: impl Body) {
    // The compiler unrolls the taps where it knows their number.
    // SAFETY: handed on from the caller.
    unsafe {
        match (windows.inner, windows.kernel) {
            (1, _) => along_windows::<S>(windows, &mut body),
            (_, [2, 2]) => along_channels::<S>(&Windows { kernel: [2, 2], ..*windows }, &mut body),
            _ => along_channels::<S>(windows, &mut body),
        }
    }
}

#[inline(always)]
unsafe fn along_channels<S: Simd>(windows: &Windows, body: &mut impl Body) {
    let ([lines, columns], inner, step) = (windows.lines(), windows.inner, windows.step());
    let tail = inner % S::LANES;
    for line in 0..lines {
        let first = windows.corner(line);
        for column in 0..columns {
            let (from, to) = (first + column * step, (line * columns + column) * inner);
            // SAFETY: handed on from the caller; each part ends inside its pixel.
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

#[inline(always)]
unsafe fn along_windows<S: Simd>(windows: &Windows, body: &mut impl Body) {
    let ([lines, columns], step) = (windows.lines(), windows.step());
    for line in 0..lines {
        let first = windows.corner(line);
        for column in (0..columns).step_by(S::LANES) {
            let n = S::LANES.min(columns - column);
            let at = At { from: first + column * step, to: line * columns + column, n };
            // SAFETY: handed on from the caller; the lanes are windows of this line.
            unsafe { body.part::<S>(windows, Apart { n, step }, First(n), at) };
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
