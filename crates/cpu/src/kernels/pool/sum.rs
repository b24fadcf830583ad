//! The sum over windows and its gradient.
use super::Windows;
use super::parts::{At, Gather, Place, Spread, gather, spread};
use crate::simd::{Level, Simd, dispatch};

/// y = the sum of each window: `[outer, h, w, inner]` to `[outer, rows, columns, inner]`.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn sum(level: Level, windows: &Windows, x: &[f32], y: &mut [f32]) {
    windows.check(x.len(), y.len());
    // SAFETY: `Windows::check` compared all slices with the windows.
    unsafe { dispatch!(level, sums(windows: &Windows, x: &[f32], y: &mut [f32])) };
}

/// dx = the sum of dy over the windows that hold a pixel.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn sum_grad(level: Level, windows: &Windows, dy: &[f32], dx: &mut [f32]) {
    windows.check(dx.len(), dy.len());
    windows.prepare(dx);
    // SAFETY: `Windows::check` compared all slices with the windows.
    unsafe { dispatch!(level, spreads(windows: &Windows, dy: &[f32], dx: &mut [f32])) };
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn sums<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe { gather::<S>(windows, Sum { x, y }) }
}

/// # Safety
/// Where S may be used and the slices are as long as `windows` says.
#[inline(always)]
unsafe fn spreads<S: Simd>(windows: &Windows, dy: &[f32], dx: &mut [f32]) {
    // SAFETY: as the caller answers for; the body holds these slices.
    unsafe {
        if windows.disjoint() {
            spread::<S>(windows, true, SumGradient::<false> { dy, dx });
        } else {
            spread::<S>(windows, false, SumGradient::<true> { dy, dx });
        }
    }
}

struct Sum<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Gather for Sum<'_> {
    #[inline(always)]
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At) {
        // SAFETY: the lanes of every tap lie inside x and those of the windows inside y, as the caller answers for.
        unsafe {
            let mut sum = S::splat(0.0);
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    sum = S::add(sum, taps.load::<S>(self.x.as_ptr().add(at.from + windows.tap(ky, kx))));
                }
            }
            pooled.store::<S>(self.y.as_mut_ptr().add(at.to), sum);
        }
    }
}

struct SumGradient<'a, const ADD: bool> {
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl<const ADD: bool> Spread for SumGradient<'_, ADD> {
    type Share<S: Simd> = S::V;

    #[inline(always)]
    unsafe fn share<S: Simd>(&self, pooled: impl Place, at: At) -> S::V {
        // SAFETY: the lanes of the windows lie inside dy, as the caller answers for.
        unsafe { pooled.load::<S>(self.dy.as_ptr().add(at.to)) }
    }

    #[inline(always)]
    unsafe fn give<S: Simd>(&mut self, share: &S::V, taps: impl Place, tap: usize, _at: At) {
        // SAFETY: the lanes of the tap lie inside dx, as the caller answers for.
        unsafe {
            let place = self.dx.as_mut_ptr().add(tap);
            let sum = if ADD { S::add(taps.load::<S>(place), *share) } else { *share };
            taps.store::<S>(place, sum);
        }
    }

    type Single = f32;

    #[inline(always)]
    fn single(&self, at: usize) -> f32 {
        self.dy[at]
    }

    #[inline(always)]
    fn give_single(&mut self, share: &f32, tap: usize) {
        self.dx[tap] = if ADD { self.dx[tap] + share } else { *share };
    }
}
