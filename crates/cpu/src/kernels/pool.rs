//! The Euclidean norm over windows of images, and its gradient. Fast with channels last, plain with channels first.
use crate::dispatch;
use crate::simd::{Level, Simd};

/// Sums of squares outside this range may have lost digits to underflow, or overflowed: they are formed again in f64,
/// where the squares of all f32 values are normal numbers.
const SAFE_SUM: [f32; 2] = [1e-30, 1e37];
/// Quotients of cotangent and norm outside this range may have done the same.
const SAFE_RATIO: [f32; 2] = [1e-37, f32::MAX];

/// `outer` images of `h` rows and `w` columns, each pixel of `inner` floats that lie together, and the windows on them.
/// Windows that do not fit are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Windows {
    pub outer: usize,
    pub h: usize,
    pub w: usize,
    pub inner: usize,
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Step from window to window, down and along.
    pub stride: [usize; 2],
}

impl Windows {
    /// Rows and columns of windows.
    pub fn count(&self) -> [usize; 2] {
        let along = |size: usize, i: usize| (size - self.kernel[i]) / self.stride[i] + 1;
        [along(self.h, 0), along(self.w, 1)]
    }

    /// Whether no pixel belongs to two windows.
    fn disjoint(&self) -> bool {
        self.kernel[0] <= self.stride[0] && self.kernel[1] <= self.stride[1]
    }

    /// Whether every pixel belongs to some window.
    fn covering(&self) -> bool {
        let full = |size: usize, i: usize| {
            self.stride[i] <= self.kernel[i] && (size - self.kernel[i]).is_multiple_of(self.stride[i])
        };
        full(self.h, 0) && full(self.w, 1)
    }

    fn check(&self, pixels: usize, windows: usize) {
        assert!(
            !self.kernel.contains(&0)
                && !self.stride.contains(&0)
                && self.kernel[0] <= self.h
                && self.kernel[1] <= self.w,
            "{self:?} has a window that is empty or does not fit"
        );
        let [rows, columns] = self.count();
        let need = [self.outer * self.h * self.w * self.inner, self.outer * rows * columns * self.inner];
        assert!([pixels, windows] == need, "{self:?} needs {need:?} floats, not {pixels} and {windows}");
    }

    /// Rows of windows of all images, and windows in each.
    fn lines(&self) -> [usize; 2] {
        let [rows, columns] = self.count();
        [self.outer * rows, columns]
    }

    /// The flat index of the first float under the first window of line `line`.
    fn corner(&self, line: usize) -> usize {
        let [rows, _] = self.count();
        (line / rows * self.h + line % rows * self.stride[0]) * self.w * self.inner
    }

    /// From window to window along a line.
    fn step(&self) -> usize {
        self.stride[1] * self.inner
    }

    /// How far tap `(ky, kx)` of a window is from its first.
    #[inline(always)]
    fn tap(&self, ky: usize, kx: usize) -> usize {
        (ky * self.w + kx) * self.inner
    }

    /// The distance of each tap of a window from its first, in row order.
    fn taps(&self) -> impl Iterator<Item = usize> {
        (0..self.kernel[0]).flat_map(move |ky| (0..self.kernel[1]).map(move |kx| self.tap(ky, kx)))
    }

    /// Calls `window(at_pixel, at_window)` with the flat indices of the first float of each.
    fn each(&self, mut window: impl FnMut(usize, usize)) {
        let [lines, columns] = self.lines();
        for line in 0..lines {
            let first = self.corner(line);
            for column in 0..columns {
                window(first + column * self.step(), (line * columns + column) * self.inner);
            }
        }
    }
}

/// y = the square root of the sum of squares of each window: `[outer, h, w, inner]` to `[outer, rows, columns, inner]`.
///
/// Exact to rounding for values of any size; NaN where the window has one, else infinite where it has an infinity.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn norm(level: Level, windows: &Windows, x: &[f32], y: &mut [f32]) {
    windows.check(x.len(), y.len());
    if windows.inner == 1 {
        return windows.each(|pixel, window| y[window] = one_norm(windows, &x[pixel..]));
    }
    dispatch!(level, norms(windows: &Windows, x: &[f32], y: &mut [f32]));
}

/// dx = x dy / y, summed over the windows that hold a pixel; nothing from windows whose y is 0.
///
/// Right wherever x / y and dy are, even if dy / y is no float.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn norm_grad(level: Level, windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    windows.check(x.len(), y.len());
    windows.check(dx.len(), dy.len());
    let add = !windows.disjoint();
    if add || !windows.covering() {
        dx.fill(0.0);
    }
    if windows.inner == 1 {
        return windows.each(|pixel, window| {
            for at in windows.taps().map(|tap| pixel + tap) {
                let part = one_gradient(x[at], y[window], dy[window]);
                dx[at] = if add { dx[at] + part } else { part };
            }
        });
    }
    dispatch!(level, gradients(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32], add: bool));
}

/// The norm of one entry of the window whose first pixel is at the front of `x`.
fn one_norm(windows: &Windows, x: &[f32]) -> f32 {
    windows.taps().map(|tap| f64::from(x[tap]).powi(2)).sum::<f64>().sqrt() as f32
}

fn one_gradient(x: f32, y: f32, dy: f32) -> f32 {
    if y == 0.0 { 0.0 } else { (f64::from(x) / f64::from(y) * f64::from(dy)) as f32 }
}

// What uses vectors below is loops in functions that are always inlined: a closure may be compiled by itself, without
// the instructions that `dispatch!` enables.

#[inline(always)]
unsafe fn norms<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    // The compiler unrolls the taps where it knows their number.
    // SAFETY: handed on from the caller.
    unsafe {
        match windows.kernel {
            [2, 2] => norms_of::<S>(&Windows { kernel: [2, 2], ..*windows }, x, y),
            _ => norms_of::<S>(windows, x, y),
        }
    }
}

#[inline(always)]
unsafe fn norms_of<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    let ([lines, columns], inner) = (windows.lines(), windows.inner);
    for line in 0..lines {
        let (first, step) = (windows.corner(line), windows.step());
        for column in 0..columns {
            let (from, to) = (first + column * step, (line * columns + column) * inner);
            let mut at = 0;
            // SAFETY: handed on from the caller; each part ends inside its pixel.
            unsafe {
                while at + S::LANES <= inner {
                    norms_part::<S, false>(windows, x, y, [from + at, to + at], S::LANES);
                    at += S::LANES;
                }
                if at < inner {
                    norms_part::<S, true>(windows, x, y, [from + at, to + at], inner - at);
                }
            }
        }
    }
}

/// The norms of `n` entries of a window, one register.
#[inline(always)]
unsafe fn norms_part<S: Simd, const TAIL: bool>(
    windows: &Windows,
    x: &[f32],
    y: &mut [f32],
    [from, to]: [usize; 2],
    n: usize,
) {
    // SAFETY: `check` has compared the lengths of the slices with the windows.
    unsafe {
        let mut sum = S::splat(0.0);
        for ky in 0..windows.kernel[0] {
            for kx in 0..windows.kernel[1] {
                let value = load::<S, TAIL>(x.as_ptr().add(from + windows.tap(ky, kx)), n);
                sum = S::mul_add(value, value, sum);
            }
        }
        store::<S, TAIL>(y.as_mut_ptr().add(to), S::sqrt(sum), n);
        let lost = S::outside(sum, SAFE_SUM) & lanes(n);
        if lost != 0 {
            let mut magnitudes = S::splat(0.0);
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    let value = load::<S, TAIL>(x.as_ptr().add(from + windows.tap(ky, kx)), n);
                    magnitudes = S::add(magnitudes, S::abs(value));
                }
            }
            let zero = !S::outside(magnitudes, [0.0, 0.0]);
            each_lane(lost & !zero, |i| y[to + i] = one_norm(windows, &x[from + i..]));
        }
    }
}

#[inline(always)]
unsafe fn gradients<S: Simd>(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    // SAFETY: handed on from the caller.
    unsafe {
        match (windows.kernel, add) {
            ([2, 2], false) => gradients_of::<S>(&Windows { kernel: [2, 2], ..*windows }, x, [y, dy], dx, false),
            _ => gradients_of::<S>(windows, x, [y, dy], dx, add),
        }
    }
}

#[inline(always)]
unsafe fn gradients_of<S: Simd>(windows: &Windows, x: &[f32], pooled: [&[f32]; 2], dx: &mut [f32], add: bool) {
    let ([lines, columns], inner) = (windows.lines(), windows.inner);
    for line in 0..lines {
        let (first, step) = (windows.corner(line), windows.step());
        for column in 0..columns {
            let (from, to) = (first + column * step, (line * columns + column) * inner);
            let mut at = 0;
            // SAFETY: handed on from the caller; each part ends inside its pixel.
            unsafe {
                while at + S::LANES <= inner {
                    gradients_part::<S, false>(windows, x, pooled, dx, [from + at, to + at], S::LANES, add);
                    at += S::LANES;
                }
                if at < inner {
                    gradients_part::<S, true>(windows, x, pooled, dx, [from + at, to + at], inner - at, add);
                }
            }
        }
    }
}

/// The gradient from `n` entries of a window, one register.
#[inline(always)]
unsafe fn gradients_part<S: Simd, const TAIL: bool>(
    windows: &Windows,
    x: &[f32],
    [y, dy]: [&[f32]; 2],
    dx: &mut [f32],
    [from, to]: [usize; 2],
    n: usize,
    add: bool,
) {
    // SAFETY: `check` has compared the lengths of the slices with the windows.
    unsafe {
        let (norm, cotangent) = (load::<S, TAIL>(y.as_ptr().add(to), n), load::<S, TAIL>(dy.as_ptr().add(to), n));
        let ratio = S::div(cotangent, norm);
        let lost = S::outside(S::abs(ratio), SAFE_RATIO) & lanes(n);
        let (mut empty, mut careful) = (0, 0);
        if lost != 0 {
            empty = !S::outside(norm, [0.0, 0.0]);
            careful = lost & !empty & S::outside(cotangent, [0.0, 0.0]);
        }
        for ky in 0..windows.kernel[0] {
            for kx in 0..windows.kernel[1] {
                let at = from + windows.tap(ky, kx);
                let mut part = S::mul(load::<S, TAIL>(x.as_ptr().add(at), n), ratio);
                if lost != 0 {
                    let mut each = [0.0; MOST_LANES];
                    S::store(each.as_mut_ptr(), S::select(empty, S::splat(0.0), part));
                    each_lane(careful, |i| each[i] = one_gradient(x[at + i], y[to + i], dy[to + i]));
                    part = S::load(each.as_ptr());
                }
                let place = dx.as_mut_ptr().add(at);
                if add {
                    part = S::add(load::<S, TAIL>(place, n), part);
                }
                store::<S, TAIL>(place, part, n);
            }
        }
    }
}

/// No register has more lanes.
const MOST_LANES: usize = 16;

/// A mask of the first `n` lanes.
fn lanes(n: usize) -> u32 {
    (1 << n) - 1
}

fn each_lane(mut mask: u32, mut lane: impl FnMut(usize)) {
    while mask != 0 {
        lane(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}

#[inline(always)]
unsafe fn load<S: Simd, const TAIL: bool>(from: *const f32, n: usize) -> S::V {
    // SAFETY: handed on from the caller.
    unsafe { if TAIL { S::load_partial(from, n) } else { S::load(from) } }
}

#[inline(always)]
unsafe fn store<S: Simd, const TAIL: bool>(to: *mut f32, v: S::V, n: usize) {
    // SAFETY: handed on from the caller.
    unsafe { if TAIL { S::store_partial(to, v, n) } else { S::store(to, v) } }
}
