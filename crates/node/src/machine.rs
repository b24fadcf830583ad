//! What the engine computes with, and how fast that can be.
use napi_derive::napi;
use tslip_cpu::peak;
use tslip_cpu::pool::pool;
use tslip_cpu::simd::Level;

/// What the engine found to compute with.
#[napi(object, object_from_js = false)]
pub struct Machine {
    /// Workers of the thread pool.
    pub threads: u32,
    /// Instructions in use: "portable", "avx2" or "avx512".
    pub simd: String,
}

/// Threads and instructions of the engine.
#[napi(catch_unwind)]
pub fn machine() -> Machine {
    Machine { threads: pool().workers() as u32, simd: Level::current().name().to_string() }
}

/// Measured FLOP/s of multiply-adds on registers with all threads, a multiply-add counted as two.
#[napi(catch_unwind)]
pub fn multiply_add_peak() -> f64 {
    peak::multiply_add_peak(Level::current(), true)
}
