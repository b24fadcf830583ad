//! Vector instructions behind one trait, chosen when the process starts.
//!
//! A kernel is written once, generic over [`Simd`] and `#[inline(always)]`; `dispatch!` instantiates it inside a
//! function for each instruction set, which is where the compiler may use it.
use std::sync::OnceLock;

use crate::settings::Settings;

#[cfg(target_arch = "x86_64")]
mod x86;

mod flush;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

pub use flush::{Mode, flush_to_zero};
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use portable::{Portable, after};
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// An instruction set, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every machine has.
    Portable,
    /// NEON, which every AArch64 processor has.
    Neon,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 F, DQ, BW and VL.
    Avx512,
}

impl Level {
    /// The level in use: the best of this machine, or the one that `TSLIP_SIMD` names.
    pub fn current() -> Level {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Settings::current().level)
    }

    /// Its name in `TSLIP_SIMD`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// Every level that this machine can run.
    pub fn available() -> Vec<Level> {
        detected().clone()
    }

    /// The best of them.
    pub fn best() -> Level {
        detected().last().copied().unwrap_or(Level::Portable)
    }

    /// This level if the machine was found to have its instructions, else the portable one: what `dispatch!` runs.
    pub fn usable(self) -> Level {
        if detected().contains(&self) { self } else { Level::Portable }
    }

    /// Floats in a register of the usable level.
    pub fn lanes(self) -> usize {
        match self.usable() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => Neon::LANES,
            _ => Portable::LANES,
        }
    }
}

/// What this machine can run, best last.
fn detected() -> &'static Vec<Level> {
    static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();
    LEVELS.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Vec<Level> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    let mut levels = vec![Level::Portable];
    levels.extend(avx2.then_some(Level::Avx2));
    levels.extend((avx2 && wide).then_some(Level::Avx512));
    levels
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Vec<Level> {
    vec![Level::Portable, Level::Neon]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Vec<Level> {
    vec![Level::Portable]
}

/// No register has more lanes: what an array must have room for.
pub const MOST_LANES: usize = 16;

/// A register of floats.
///
/// # Safety
/// An implementation has at most [`MOST_LANES`] lanes, and its methods read and write the floats that are named here and no others.
///
/// Who calls a method answers for two things. The instructions exist on this machine: a body that `dispatch!` runs may count on
/// that for its S, and hands it on to what is generic over the same S. Pointers are valid for reads or writes of f32, aligned as
/// one is: of `LANES` of them, of the first `n <= LANES` for what is partial (a pointer to none of them may point anywhere but to
/// null), of `LANES` rows of `LANES` floats for `transpose`, where what is read and what is written do not overlap.
#[allow(clippy::missing_safety_doc, missing_docs)]
pub unsafe trait Simd: Copy {
    type V: Copy;
    /// A verdict for each lane.
    type Verdict: Copy;
    const LANES: usize;
    /// Most rows, at most 14, of a tile of sums that is one, two or three registers wide and leaves a few registers free;
    /// four registers wide it is for one or two rows alone.
    const HEIGHTS: [usize; 4];
    /// Whether partial loads and stores are as quick as whole ones.
    const MASKED: bool;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// The first `n` floats, at most `LANES`; zeros after them.
    unsafe fn load_partial(from: *const f32, n: usize) -> Self::V;
    /// Writes the first `n` lanes, at most `LANES`.
    unsafe fn store_partial(to: *mut f32, v: Self::V, n: usize);
    /// Writes the transpose of a square of `LANES` rows and columns; strides are from row to row.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    unsafe fn abs(a: Self::V) -> Self::V;
    /// A bit for each lane, the first lowest, that is set unless low <= v <= high; so NaN is outside.
    unsafe fn outside(v: Self::V, range: [f32; 2]) -> u32;
    /// a in the lanes whose bit is set, b in the others.
    unsafe fn select(mask: u32, a: Self::V, b: Self::V) -> Self::V;
    /// v with each pair of neighbours exchanged where the pair of x is out of ascending order; NaN counts as largest.
    unsafe fn permute_pairs(x: Self::V, v: Self::V) -> Self::V;
    /// For each lane whether a comes after b in ascending order, where NaN counts as largest and -0 as 0.
    unsafe fn after(a: Self::V, b: Self::V) -> Self::Verdict;
    /// a and b, exchanged in the lanes of which the verdict holds.
    unsafe fn exchange(verdict: Self::Verdict, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// In lane i the lane `from[i]` of v, which is below `LANES`.
    unsafe fn lookup(v: Self::V, from: &[u32; 16]) -> Self::V;
    /// a * b + c.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

const _: () = {
    assert!(Portable::LANES <= MOST_LANES);
    #[cfg(target_arch = "x86_64")]
    assert!(Avx2::LANES <= MOST_LANES && Avx512::LANES <= MOST_LANES);
    #[cfg(target_arch = "aarch64")]
    assert!(Neon::LANES <= MOST_LANES);
};

/// The same number, of which the compiler knows nothing: it cannot derive addresses from one another through it.
#[inline(always)]
pub(crate) fn opaque(x: usize) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut x = x;
        // SAFETY: no instruction, only a comment that names a register, which keeps its value: nothing is read, written or changed.
        unsafe { std::arch::asm!("/* {0} */", inout(reg) x, options(pure, nomem, nostack, preserves_flags)) };
        x
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    x
}

/// Calls `$body::<S>(args)`, an unsafe function, inside a function that is compiled for the instructions of `$level`; for a level
/// that this machine lacks, S is [`Portable`]. Stands in an `unsafe` block.
///
/// # Safety
/// What `$body` asks for, but for the instructions of S: that they exist is established here.
macro_rules! dispatch {
    ($level:expr, $body:ident($($name:ident: $type:ty),* $(,)?)) => {{
        /// # Safety
        /// Where the machine has these instructions, and the body may be called.
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma,avx2")]
        unsafe fn avx512($($name: $type),*) {
            // SAFETY: S is of the instructions that are enabled here; all else is handed on from the caller.
            unsafe { $body::<$crate::simd::Avx512>($($name),*) }
        }
        /// # Safety
        /// Where the machine has these instructions, and the body may be called.
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($name: $type),*) {
            // SAFETY: S is of the instructions that are enabled here; all else is handed on from the caller.
            unsafe { $body::<$crate::simd::Avx2>($($name),*) }
        }
        // `Level::usable` gives none but a level that `detect` found this machine to have, with each feature that is enabled
        // above. The calls are unsafe for what the body asks for beyond that, so that the block they stand in is the caller's.
        match $crate::simd::Level::usable($level) {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => avx512($($name),*),
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => avx2($($name),*),
            // Part of the target.
            #[cfg(target_arch = "aarch64")]
            $crate::simd::Level::Neon => $body::<$crate::simd::Neon>($($name),*),
            // Needs no instructions of its own.
            _ => $body::<$crate::simd::Portable>($($name),*),
        }
    }};
}
pub(crate) use dispatch;
