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
            !self.kernel.contains(&0) && !self.stride.contains(&0) && self.kernel[0] <= self.h && self.kernel[1] <= self.w,
            "{self:?} has a window that is empty or does not fit"
        );
        let [rows, columns] = self.count();
        let need = [self.outer * self.h * self.w * self.inner, self.outer * rows * columns * self.inner];
        assert!([pixels, windows] == need, "{self:?} needs {need:?} floats, not {pixels} and {windows}");
    }

    /// Calls `window(at_pixel, at_window)` with the flat indices of the first float of each.
    #[inline(always)]
    fn each(&self, mut window: impl FnMut(usize, usize)) {
        let [rows, columns] = self.count();
        let mut to = 0;
        for (n, oy) in (0..self.outer).flat_map(|n| (0..rows).map(move |oy| (n, oy))) {
            let line = (n * self.h + oy * self.stride[0]) * self.w;
            for ox in 0..columns {
                window((line + ox * self.stride[1]) * self.inner, to);
                to += self.inner;
            }
        }
    }

    /// Calls `tap` with the distance of each pixel of a window from its first, in row order.
    #[inline(always)]
    fn taps(&self, mut tap: impl FnMut(usize)) {
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                tap((ky * self.w + kx) * self.inner);
            }
        }
    }

    /// Parts of a pixel as long as a register: where they start and how many floats they have.
    #[inline(always)]
    fn parts<S: Simd>(&self, mut part: impl FnMut(usize, usize)) {
        let mut at = 0;
        while at + S::LANES <= self.inner {
            part(at, S::LANES);
            at += S::LANES;
        }
        if at < self.inner {
            part(at, self.inner - at);
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
            windows.taps(|tap| {
                let at = pixel + tap;
                let part = one_gradient(x[at], y[window], dy[window]);
                dx[at] = if add { dx[at] + part } else { part };
            });
        });
    }
    dispatch!(level, gradients(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32], add: bool));
}

/// The norm of one entry of the window whose first pixel is at the front of `x`.
fn one_norm(windows: &Windows, x: &[f32]) -> f32 {
    let mut sum = 0.0;
    windows.taps(|tap| sum += f64::from(x[tap]).powi(2));
    sum.sqrt() as f32
}

fn one_gradient(x: f32, y: f32, dy: f32) -> f32 {
    if y == 0.0 { 0.0 } else { (f64::from(x) / f64::from(y) * f64::from(dy)) as f32 }
}

#[inline(always)]
unsafe fn norms<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    // The compiler unrolls the taps where it knows their number.
    // SAFETY: handed on from the caller.
    match windows.kernel {
        [2, 2] => unsafe { norms_of::<S>(&Windows { kernel: [2, 2], ..*windows }, x, y) },
        _ => unsafe { norms_of::<S>(windows, x, y) },
    }
}

#[inline(always)]
unsafe fn norms_of<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    windows.each(|pixel, window| {
        windows.parts::<S>(|at, n| {
            let (from, to) = (pixel + at, window + at);
            // SAFETY: `check` has compared the lengths; a part ends inside its pixel.
            unsafe {
                let value = |tap: usize| load::<S>(x.as_ptr().add(from + tap), n);
                let mut sum = S::splat(0.0);
                windows.taps(|tap| sum = S::mul_add(value(tap), value(tap), sum));
                store::<S>(y.as_mut_ptr().add(to), S::sqrt(sum), n);
                let mut unsafe_lanes = S::outside(sum, SAFE_SUM) & lanes(n);
                if unsafe_lanes != 0 {
                    let mut magnitudes = S::splat(0.0);
                    windows.taps(|tap| magnitudes = S::add(magnitudes, S::abs(value(tap))));
                    unsafe_lanes &= S::outside(magnitudes, [0.0, 0.0]);
                }
                each_lane(unsafe_lanes, |i| y[to + i] = one_norm(windows, &x[from + i..]));
            }
        });
    });
}

#[inline(always)]
unsafe fn gradients<S: Simd>(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    // SAFETY: handed on from the caller.
    match (windows.kernel, add) {
        ([2, 2], false) => unsafe {
            gradients_of::<S>(&Windows { kernel: [2, 2], ..*windows }, x, y, dy, dx, false);
        },
        _ => unsafe { gradients_of::<S>(windows, x, y, dy, dx, add) },
    }
}

#[inline(always)]
unsafe fn gradients_of<S: Simd>(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    windows.each(|pixel, window| {
        windows.parts::<S>(|at, n| {
            let (from, to) = (pixel + at, window + at);
            // SAFETY: `check` has compared the lengths; a part ends inside its pixel.
            unsafe {
                let (norm, cotangent) = (load::<S>(y.as_ptr().add(to), n), load::<S>(dy.as_ptr().add(to), n));
                let ratio = S::div(cotangent, norm);
                let suspect = S::outside(S::abs(ratio), SAFE_RATIO) & lanes(n);
                let mut write = |tap: usize, part: S::V| {
                    let place = dx.as_mut_ptr().add(from + tap);
                    store::<S>(place, if add { S::add(load::<S>(place, n), part) } else { part }, n);
                };
                let product = |tap: usize| S::mul(load::<S>(x.as_ptr().add(from + tap), n), ratio);
                if suspect == 0 {
                    return windows.taps(|tap| write(tap, product(tap)));
                }
                let empty = !S::outside(norm, [0.0, 0.0]);
                let careful = suspect & !empty & S::outside(cotangent, [0.0, 0.0]);
                windows.taps(|tap| {
                    let mut part = [0.0; MOST_LANES];
                    S::store(part.as_mut_ptr(), S::select(empty, S::splat(0.0), product(tap)));
                    each_lane(careful, |i| part[i] = one_gradient(x[from + tap + i], y[to + i], dy[to + i]));
                    write(tap, S::load(part.as_ptr()));
                });
            }
        });
    });
}

/// No register has more lanes.
const MOST_LANES: usize = 16;

/// A mask of the first `n` lanes.
fn lanes(n: usize) -> u32 {
    (1 << n) - 1
}

#[inline(always)]
fn each_lane(mut mask: u32, mut lane: impl FnMut(usize)) {
    while mask != 0 {
        lane(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}

#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32, n: usize) -> S::V {
    // SAFETY: handed on from the caller.
    unsafe { if n == S::LANES { S::load(from) } else { S::load_partial(from, n) } }
}

#[inline(always)]
unsafe fn store<S: Simd>(to: *mut f32, v: S::V, n: usize) {
    // SAFETY: handed on from the caller.
    unsafe { if n == S::LANES { S::store(to, v) } else { S::store_partial(to, v, n) } }
}
