//! The sum over windows and its gradient.
use super::Windows;
use super::parts::{At, Body, Place, walk};
use crate::dispatch;
use crate::simd::{Level, Simd};

/// y = the sum of each window: `[outer, h, w, inner]` to `[outer, rows, columns, inner]`.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn sum(level: Level, windows: &Windows, x: &[f32], y: &mut [f32]) {
    windows.check(x.len(), y.len());
    dispatch!(level, sums(windows: &Windows, x: &[f32], y: &mut [f32]));
}

/// dx = the sum of dy over the windows that hold a pixel.
///
/// # Panics
/// If the slices are not as long as `windows` says.
pub fn sum_grad(level: Level, windows: &Windows, dy: &[f32], dx: &mut [f32]) {
    windows.check(dx.len(), dy.len());
    windows.prepare(dx);
    dispatch!(level, spreads(windows: &Windows, dy: &[f32], dx: &mut [f32]));
}

#[inline(always)]
unsafe fn sums<S: Simd>(windows: &Windows, x: &[f32], y: &mut [f32]) {
    // SAFETY: handed on from the caller, which has checked the lengths.
    unsafe { walk::<S>(windows, Sum { x, y }) }
}

#[inline(always)]
unsafe fn spreads<S: Simd>(windows: &Windows, dy: &[f32], dx: &mut [f32]) {
    // SAFETY: handed on from the caller, which has checked the lengths.
    unsafe {
        if windows.disjoint() {
            walk::<S>(windows, Spread::<false> { dy, dx });
        } else {
            walk::<S>(windows, Spread::<true> { dy, dx });
        }
    }
}

struct Sum<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Body for Sum<'_> {
    #[inline(always)]
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At) {
        // SAFETY: handed on from the caller.
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

struct Spread<'a, const ADD: bool> {
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl<const ADD: bool> Body for Spread<'_, ADD> {
    #[inline(always)]
    unsafe fn part<S: Simd>(&mut self, windows: &Windows, taps: impl Place, pooled: impl Place, at: At) {
        // SAFETY: handed on from the caller.
        unsafe {
            let part = pooled.load::<S>(self.dy.as_ptr().add(at.to));
            for ky in 0..windows.kernel[0] {
                for kx in 0..windows.kernel[1] {
                    let place = self.dx.as_mut_ptr().add(at.from + windows.tap(ky, kx));
                    let sum = if ADD { S::add(taps.load::<S>(place), part) } else { part };
                    taps.store::<S>(place, sum);
                }
            }
        }
    }
}
