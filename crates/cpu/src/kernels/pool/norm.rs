//! The Euclidean norm over windows and its gradient, of values as they are or of pairs of channels in ascending order.
use super::Windows;
use super::parts::{At, Gather, Place, Spread, each_lane, gather, lanes, spread};
use crate::simd::{Level, MOST_LANES, Simd, after, dispatch};

/// Sums of squares outside this range may have lost digits to underflow, or overflowed: they are formed again in f64,
/// where the squares of all f32 values are normal numbers.
const SAFE_SUM: [f32; 2] = [1e-30, 1e37];
/// Quotients of cotangent and norm outside this range may have done the same.
const SAFE_RATIO: [f32; 2] = [1e-37, f32::MAX];

/// y = the square root of the sum of squares of each window: `[outer, h, w, inner]` to `[outer, rows, columns, inner]`.
///
/// Exact to rounding for values of any size; NaN where the window has one, else infinite where it has an infinity.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn norm(level: Level, windows: &Windows, x: &[f32], y: &mut [f32]) {
    windows.check(x.len(), y.len());
    // SAFETY: `Windows::check` compared all slices with the windows.
    unsafe { dispatch!(level, norms(windows: &Windows, x: &[f32], y: &mut [f32])) };
}

/// The norm of what [`group_sort2`](crate::kernels::sort::group_sort2) makes of x along `inner`: the same bits, one pass.
///
/// # Panics
/// If `inner` is odd, or the slices are not as long as `windows` says.
pub fn sorted_norm(level: Level, windows: &Windows, x: &[f32], y: &mut [f32]) {
    windows.check_pairs();
    windows.check(x.len(), y.len());
    // SAFETY: `Windows::check` compared all slices with the windows.
    unsafe { dispatch!(level, sorted_norms(windows: &Windows, x: &[f32], y: &mut [f32])) };
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
    windows.prepare(dx);
    // SAFETY: `Windows::check` compared all slices with the windows.
    unsafe { dispatch!(level, gradients(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32])) };
}

/// The gradient of [`sorted_norm`]: x is as it was before it was sorted, and so is dx. The same bits as
/// [`norm_grad`] of the sorted x, moved back by [`group_permute2`](crate::kernels::sort::group_permute2).
///
/// # Panics
/// If `inner` is odd, or the slices are not as long as `windows` says.
pub fn sorted_norm_grad(level: Level, windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    windows.check_pairs();
    windows.check(x.len(), y.len());
    windows.check(dx.len(), dy.len());
    windows.prepare(dx);
    // SAFETY: `Windows::check` compared all slices with the windows.
    unsafe { dispatch!(level, sorted_gradients(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32])) };
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn norms<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe { gather::<S>(windows, Norm::<false> { x, y }) }
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn sorted_norms<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe { gather::<S>(windows, Norm::<true> { x, y }) }
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn gradients<S: Simd>(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe { gradients_of::<S, false>(windows, x, [y, dy], dx) }
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn sorted_gradients<S: Simd>(windows: &Windows, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe { gradients_of::<S, true>(windows, x, [y, dy], dx) }
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn gradients_of<S: Simd, const SORTED: bool>(windows: &Windows, x: &[f32], pooled: [&[f32]; 2], dx: &mut [f32]) {
    let [y, dy] = pooled;
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe {
        if windows.disjoint() {
            spread::<S>(windows, true, Gradient::<SORTED, false> { x, y, dy, dx });
        } else {
            spread::<S>(windows, false, Gradient::<SORTED, true> { x, y, dy, dx });
        }
    }
}

struct Norm<'a, const SORTED: bool> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<const SORTED: bool> Gather for Norm<'_, SORTED> {
    #[inline(always)]
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At) {
        let At { from, to, n } = at;
        // SAFETY: the lanes of every tap lie inside x and those of the windows inside y, as the caller answers for.
        unsafe {
            let mut sum = S::splat(0.0);
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    let value = taps.load::<S>(self.x.as_ptr().add(from + windows.tap(ky, kx)));
                    let value = in_order::<S, SORTED>(value, value);
                    sum = S::mul_add(value, value, sum);
                }
            }
            pooled.store::<S>(self.y.as_mut_ptr().add(to), S::sqrt(sum));
            let lost = S::outside(sum, SAFE_SUM) & lanes(n);
            if lost != 0 {
                self.again::<S>(windows, taps, at, lost);
            }
        }
    }
}

impl<const SORTED: bool> Norm<'_, SORTED> {
    /// The norms of lanes that have `lost` digits, in f64. Windows of zeros, of which there may be many, are not among
    /// them.
    ///
    /// # Safety
    /// As for [`Gather::part`].
    #[inline(always)]
    unsafe fn again<S: Simd>(&mut self, windows: &Windows, taps: impl Place, at: At, lost: u32) {
        let mut magnitudes;
        let mut squares = [0.0; MOST_LANES];
        // SAFETY: the lanes of every tap lie inside x, as the caller answers for.
        unsafe {
            magnitudes = S::splat(0.0);
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    let value = taps.load::<S>(self.x.as_ptr().add(at.from + windows.tap(ky, kx)));
                    magnitudes = S::add(magnitudes, S::abs(in_order::<S, SORTED>(value, value)));
                }
            }
            let lost = lost & S::outside(magnitudes, [0.0, 0.0]);
            if lost == 0 {
                return;
            }
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    let value = taps.load::<S>(self.x.as_ptr().add(at.from + windows.tap(ky, kx)));
                    let each = array::<S>(in_order::<S, SORTED>(value, value));
                    each_lane(lost, |i| squares[i] += f64::from(each[i]).powi(2));
                }
            }
            each_lane(lost, |i| self.y[at.to + i] = f64::sqrt(squares[i]) as f32);
        }
    }
}

struct Gradient<'a, const SORTED: bool, const ADD: bool> {
    x: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

/// Cotangent over norm, and in which lanes this is no good.
#[derive(Clone, Copy)]
struct Ratio<V> {
    value: V,
    /// Lanes whose norm is 0.
    empty: u32,
    /// Lanes to be computed in f64.
    careful: u32,
    /// Whether any lane is one of those.
    lost: bool,
}

impl<const SORTED: bool, const ADD: bool> Spread for Gradient<'_, SORTED, ADD> {
    type Share<S: Simd> = Ratio<S::V>;

    #[inline(always)]
    unsafe fn share<S: Simd>(&self, pooled: impl Place, at: At) -> Ratio<S::V> {
        // SAFETY: the lanes of the windows lie inside y and dy, as the caller answers for.
        unsafe {
            let norm = pooled.load::<S>(self.y.as_ptr().add(at.to));
            let cotangent = pooled.load::<S>(self.dy.as_ptr().add(at.to));
            let value = S::div(cotangent, norm);
            let lost = S::outside(S::abs(value), SAFE_RATIO) & lanes(at.n);
            if lost == 0 {
                return Ratio { value, empty: 0, careful: 0, lost: false };
            }
            let empty = !S::outside(norm, [0.0, 0.0]);
            Ratio { value, empty, careful: lost & !empty & S::outside(cotangent, [0.0, 0.0]), lost: true }
        }
    }

    #[inline(always)]
    unsafe fn give<S: Simd>(&mut self, ratio: &Ratio<S::V>, taps: impl Place, tap: usize, at: At) {
        // SAFETY: the lanes of the tap lie inside x and dx, as the caller answers for; the array holds the widest register.
        unsafe {
            let x = taps.load::<S>(self.x.as_ptr().add(tap));
            let mut part = S::mul(x, in_order::<S, SORTED>(x, ratio.value));
            if ratio.lost {
                let sorted = in_order::<S, SORTED>(x, x);
                part = S::select(ratio.empty, S::splat(0.0), S::mul(sorted, ratio.value));
                if ratio.careful != 0 {
                    let (mut each, sorted) = (array::<S>(part), array::<S>(sorted));
                    let (y, dy) = (&self.y[at.to..], &self.dy[at.to..]);
                    each_lane(ratio.careful, |i| each[i] = one_gradient(sorted[i], y[i], dy[i]));
                    part = S::load(each.as_ptr());
                }
                part = in_order::<S, SORTED>(x, part);
            }
            let place = self.dx.as_mut_ptr().add(tap);
            if ADD {
                part = S::add(taps.load::<S>(place), part);
            }
            taps.store::<S>(place, part);
        }
    }

    type Single = [Quotient; 2];

    /// Of this channel and of the other of its pair.
    #[inline(always)]
    fn single(&self, at: usize) -> [Quotient; 2] {
        let of = |i: usize| Quotient { y: self.y[i], dy: self.dy[i], ratio: self.dy[i] / self.y[i] };
        [of(at), of(if SORTED { at ^ 1 } else { at })]
    }

    #[inline(always)]
    fn give_single(&mut self, [own, other]: &[Quotient; 2], tap: usize) {
        let x = self.x[tap];
        // The first of a pair has an even index, as pixels hold an even number of channels.
        let moved = SORTED && after(self.x[tap & !1], self.x[tap | 1]);
        let part = if moved { other.times(x) } else { own.times(x) };
        self.dx[tap] = if ADD { self.dx[tap] + part } else { part };
    }
}

/// A norm, its cotangent, and cotangent over norm.
#[derive(Clone, Copy)]
struct Quotient {
    y: f32,
    dy: f32,
    ratio: f32,
}

impl Quotient {
    #[inline(always)]
    fn times(&self, x: f32) -> f32 {
        let [low, high] = SAFE_RATIO;
        match self.ratio.abs() {
            ratio if (low..=high).contains(&ratio) => x * self.ratio,
            _ if self.y == 0.0 => 0.0,
            _ if self.dy == 0.0 => x * self.ratio,
            _ => one_gradient(x, self.y, self.dy),
        }
    }
}

fn one_gradient(x: f32, y: f32, dy: f32) -> f32 {
    (f64::from(x) / f64::from(y) * f64::from(dy)) as f32
}

/// v moved as sorting the pairs of x moves them, which is its own inverse; or v as it is.
///
/// # Safety
/// Where S may be used.
#[inline(always)]
unsafe fn in_order<S: Simd, const SORTED: bool>(x: S::V, v: S::V) -> S::V {
    if SORTED {
        // SAFETY: S may be used, as the caller answers for.
        unsafe { S::permute_pairs(x, v) }
    } else {
        v
    }
}

/// The lanes of a register, zeros after them.
///
/// # Safety
/// Where S may be used.
#[inline(always)]
unsafe fn array<S: Simd>(v: S::V) -> [f32; MOST_LANES] {
    let mut each = [0.0; MOST_LANES];
    // SAFETY: S may be used, as the caller answers for; the array holds the widest register.
    unsafe { S::store(each.as_mut_ptr(), v) };
    each
}
