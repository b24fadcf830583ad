//! GPUs as JavaScript sees them.
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;
use tslip_gpu::{OpenDevice, Peak, adapters, open};

use crate::convert::{guarded, js_error, number};

/// A GPU of this machine.
#[napi(object, object_from_js = false)]
pub struct Gpu {
    /// As its driver calls it.
    pub name: String,
    /// "vulkan", "metal" or "dx12".
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// "discrete", "integrated", "virtual", "software" or "other".
    pub kind: String,
    /// Bytes of the largest array that a kernel can reach, in which all tensors of an engine lie.
    pub memory: f64,
    /// What it allows.
    pub limits: GpuLimits,
    /// Whether kernels can be timed.
    pub timestamps: bool,
    /// How it computes; absent where it was not, or could not be, opened.
    pub arithmetic: Option<Arithmetic>,
    /// Why it could not be opened.
    pub error: Option<String>,
}

/// What a GPU allows at most.
#[napi(object, object_from_js = false)]
pub struct GpuLimits {
    /// Bytes of a buffer.
    pub buffer_bytes: f64,
    /// Bytes of a buffer that one kernel can reach.
    pub binding_bytes: f64,
    /// Bytes of memory that a workgroup shares.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub workgroup_invocations: u32,
}

/// What a self-test has found of a GPU's arithmetic.
#[napi(object, object_from_js = false)]
pub struct Arithmetic {
    /// Whether sums, differences and products are the nearest floats, as bounds of rounding assume.
    pub exact: bool,
    /// Whether sums are formed in the order in which they are written.
    pub ordered: bool,
    /// Whether what rounding takes off a sum or product can be computed.
    pub residuals: bool,
    /// Whether a fused multiply-add rounds once.
    pub fused: bool,
    /// Largest error of a quotient, in units in the last place.
    pub division_ulps: f64,
    /// Largest error of a square root, in units in the last place.
    pub sqrt_ulps: f64,
    /// Largest error of the exponential function, in units in the last place.
    pub exp_ulps: f64,
    /// Largest error of the natural logarithm, in units in the last place.
    pub log_ulps: f64,
    /// Largest error of the hyperbolic tangent, in units in the last place.
    pub tanh_ulps: f64,
    /// Largest error of the logistic function, in units in the last place.
    pub sigmoid_ulps: f64,
    /// Largest error of the inverse hyperbolic tangent, in units in the last place.
    pub atanh_ulps: f64,
    /// Largest error of a power, in units in the last place.
    pub pow_ulps: f64,
    /// Whether subnormal numbers are kept; else they count as zero.
    pub subnormals: bool,
    /// Whether NaN and infinity are told from numbers, in sums, comparisons and maxima.
    pub nan: bool,
}

/// The GPUs of this machine by their numbers; each is opened and tested if `test`.
#[napi(catch_unwind)]
pub fn gpus(test: bool) -> Vec<Gpu> {
    adapters().into_iter().enumerate().map(|(index, adapter)| gpu(index, adapter, test)).collect()
}

/// Looks whether there is such a GPU and it can do what kernels need. It is not opened.
#[napi(catch_unwind)]
pub fn check_gpu(index: f64) -> napi::Result<()> {
    number(index, "GPU").and_then(|index| tslip_gpu::check(index as usize)).map_err(js_error)
}

/// How a GPU computes, which is opened and tested on another thread if it is not.
#[napi(ts_return_type = "Promise<Arithmetic>")]
pub fn gpu_arithmetic(index: f64) -> napi::Result<AsyncTask<Open>> {
    Ok(AsyncTask::new(Open(number(index, "GPU").map_err(js_error)? as usize)))
}

/// Opens a GPU.
pub struct Open(usize);

impl Task for Open {
    type Output = tslip_gpu::Arithmetic;
    type JsValue = Arithmetic;

    fn compute(&mut self) -> napi::Result<tslip_gpu::Arithmetic> {
        guarded("opening the GPU", || open(self.0).map(|opened| opened.arithmetic).map_err(js_error))
    }

    fn resolve(&mut self, _env: Env, found: tslip_gpu::Arithmetic) -> napi::Result<Arithmetic> {
        Ok(arithmetic(found))
    }
}

/// The GPU of a number that JavaScript gives.
fn numbered(index: f64) -> tslip_graph::Result<OpenDevice> {
    open(number(index, "GPU")? as usize)
}

fn gpu(index: usize, adapter: tslip_gpu::Adapter, test: bool) -> Gpu {
    let (tested, error) = match test.then(|| open(index)) {
        None => (None, None),
        Some(Ok(opened)) => (Some(arithmetic(opened.arithmetic)), None),
        Some(Err(error)) => (None, Some(error.message)),
    };
    let limits = adapter.limits;
    Gpu {
        name: adapter.name,
        backend: adapter.backend,
        driver: adapter.driver,
        kind: adapter.kind.to_string(),
        memory: adapter.heap_bytes as f64,
        limits: GpuLimits {
            buffer_bytes: limits.buffer_bytes as f64,
            binding_bytes: limits.binding_bytes as f64,
            workgroup_bytes: limits.workgroup_bytes,
            workgroup_invocations: limits.workgroup_invocations,
        },
        timestamps: adapter.timestamps,
        arithmetic: tested,
        error,
    }
}

fn arithmetic(found: tslip_gpu::Arithmetic) -> Arithmetic {
    Arithmetic {
        exact: found.exact,
        ordered: found.ordered,
        residuals: found.residuals,
        fused: found.fused,
        division_ulps: found.division_ulps,
        sqrt_ulps: found.sqrt_ulps,
        exp_ulps: found.exp_ulps,
        log_ulps: found.log_ulps,
        tanh_ulps: found.tanh_ulps,
        sigmoid_ulps: found.sigmoid_ulps,
        atanh_ulps: found.atanh_ulps,
        pow_ulps: found.pow_ulps,
        subnormals: found.subnormals,
        nan: found.nan,
    }
}

/// What has been asked of a GPU since it was opened, and what is held there.
#[napi(object, object_from_js = false)]
pub struct GpuCounters {
    /// Submissions of commands.
    pub submits: f64,
    /// Kernels run.
    pub dispatches: f64,
    /// Kernels compiled.
    pub pipelines: f64,
    /// Bind groups made.
    pub bind_groups: f64,
    /// Buffers made.
    pub buffers: f64,
    /// Bytes that kernels of plans moved, each reading its operands and writing its results once.
    pub bytes_moved: f64,
    /// Bytes copied to memory of the host.
    pub bytes_to_host: f64,
    /// Bytes that came from the host.
    pub bytes_to_device: f64,
    /// Words that tensors take now.
    pub words_in_use: f64,
}

/// Counters of a GPU, which is opened if it is not.
#[napi(catch_unwind)]
pub fn gpu_counters(index: f64) -> napi::Result<GpuCounters> {
    let device = numbered(index).map_err(js_error)?.device;
    let counters = &device.counters;
    Ok(GpuCounters {
        submits: counters.submits.get() as f64,
        dispatches: counters.dispatches.get() as f64,
        pipelines: counters.pipelines.get() as f64,
        bind_groups: counters.bind_groups.get() as f64,
        buffers: counters.buffers.get() as f64,
        bytes_moved: counters.bytes_moved.get() as f64,
        bytes_to_host: counters.bytes_to_host.get() as f64,
        bytes_to_device: counters.bytes_to_device.get() as f64,
        words_in_use: counters.words_in_use.get() as f64,
    })
}

/// What a GPU does at best, measured.
#[napi(object, object_from_js = false)]
pub struct GpuPeak {
    /// FLOP/s of f32 multiply-adds on registers, a multiply-add counted as two.
    pub flops: f64,
    /// Bytes a second that a kernel reads and writes, both counted, which copies a large array.
    pub bytes_per_second: f64,
}

/// Measures the multiply-add peak and the memory bandwidth of a GPU, which is opened if it is not. Takes about half a second.
#[napi(catch_unwind)]
pub fn gpu_peak(index: f64) -> napi::Result<GpuPeak> {
    let measured = numbered(index).and_then(|opened| Peak::measure(&opened.device));
    let Peak { flops, bytes_per_second } = measured.map_err(js_error)?;
    Ok(GpuPeak { flops, bytes_per_second })
}

/// Takes a GPU away as a driver that resets does: what it held and nobody has read is lost. For tests of what follows.
#[napi(catch_unwind)]
pub fn lose_gpu(index: f64) -> napi::Result<()> {
    numbered(index).map(|opened| opened.device.destroy()).map_err(js_error)
}
