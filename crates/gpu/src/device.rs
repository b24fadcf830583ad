//! Adapters of this machine, and the devices opened on them: one for each adapter and process.
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tslip_graph::{Code, Error, Result};

use crate::arithmetic::Arithmetic;
use crate::counters::Counters;
use crate::line::Line;
use crate::pipelines::Pipelines;

/// The kind of an adapter that computes on the CPU.
pub(crate) const SOFTWARE: &str = "software";

/// An adapter that could be opened.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// As its driver calls it.
    pub name: String,
    /// "vulkan", "metal" or "dx12".
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// "discrete", "integrated", "virtual", "software" or "other".
    pub kind: &'static str,
    /// Bytes that one array of all tensors may have.
    pub heap_bytes: u64,
    /// What it allows.
    pub limits: Limits,
    /// Whether kernels can be timed.
    pub timestamps: bool,
}

/// What an adapter allows at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a buffer.
    pub buffer_bytes: u64,
    /// Bytes of a buffer that one kernel can reach.
    pub binding_bytes: u64,
    /// Bytes of memory that a workgroup shares.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub workgroup_invocations: u32,
}

/// All adapters by their numbers, also those that are gone: `gpu:N` is number N.
pub fn adapters() -> Vec<Adapter> {
    found().into_iter().map(|(described, _)| described).collect()
}

fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let flags = wgpu::InstanceFlags::empty();
        wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            flags,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })
    })
}

/// What the machine has, or had, by number; looked for each time, as a driver may come and go. Numbers are given when the
/// process first looks, the fastest kind first, and stay: what comes later gets the next ones.
fn found() -> Vec<(Adapter, Option<wgpu::Adapter>)> {
    static KNOWN: Mutex<Vec<(wgpu::AdapterInfo, Adapter)>> = Mutex::new(Vec::new());
    let mut found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
    let order = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    found.sort_by_key(order);
    let mut known = locked(&KNOWN);
    let before: Vec<_> = known.iter().map(|(info, _)| info.clone()).collect();
    let now: Vec<_> = found.iter().map(wgpu::Adapter::get_info).collect();
    let mut here: HashMap<usize, wgpu::Adapter> = numbers(&before, &now).into_iter().zip(found).collect();
    for number in known.len()..known.len() + here.len() {
        if let Some(new) = here.get(&number) {
            known.push((new.get_info(), describe(new)));
        }
    }
    known.iter().enumerate().map(|(number, (_, described))| (described.clone(), here.remove(&number))).collect()
}

/// The number of each of `found`: that of the first equal one of `known` that no other has, else the next.
fn numbers<T: PartialEq>(known: &[T], found: &[T]) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    let mut next = known.len()..;
    for one in found {
        let free = |number: &usize| known[*number] == *one && !numbers.contains(number);
        numbers.extend((0..known.len()).find(free).or_else(|| next.next()));
    }
    numbers
}

fn describe(adapter: &wgpu::Adapter) -> Adapter {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => SOFTWARE,
        wgpu::DeviceType::Other => "other",
    };
    Adapter {
        name: info.name,
        backend: info.backend.to_string(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        kind,
        heap_bytes: heap_bytes(&limits),
        limits: Limits {
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        },
        timestamps: adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY),
    }
}

/// Not more than 4 GiB: some backends count the bytes of an array in 32 bits, and a data set's are counted so in kernels.
fn heap_bytes(limits: &wgpu::Limits) -> u64 {
    let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    most.min(u64::from(u32::MAX)) / 256 * 256
}

/// An open device.
#[derive(Debug)]
pub struct Device {
    pub(crate) handle: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) layout: wgpu::BindGroupLayout,
    /// What it was opened on.
    pub adapter: Adapter,
    /// What has been asked of it.
    pub counters: Counters,
    pub(crate) pipeline_layout: wgpu::PipelineLayout,
    pub(crate) pipelines: Pipelines,
    arithmetic: OnceLock<Arithmetic>,
    pub(crate) line: Line,
    pub(crate) fate: Arc<Fate>,
}

/// What went wrong with a device, told by the driver at any time.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    lost: AtomicBool,
    message: Mutex<Option<String>>,
}

impl Fate {
    /// The device is gone.
    pub fn lose(&self, why: impl Into<String>) {
        self.lost.store(true, Ordering::Release);
        self.tell(why.into());
    }

    fn tell(&self, message: String) {
        locked(&self.message).get_or_insert(message);
    }
}

/// Invocations of a workgroup, bytes of memory that it shares, and buffers of a kernel that every program may use.
const INVOCATIONS: u32 = 256;
const WORKGROUP_BYTES: u32 = 16 << 10;

impl Device {
    /// The device of adapter `index`, opened if it is not; a lost one is opened again.
    ///
    /// # Errors
    /// `UNKNOWN_DEVICE` where there is no such adapter, `UNSUPPORTED` where it cannot do what kernels need, `DEVICE_LOST`
    /// where its driver refuses.
    pub fn open(index: usize) -> Result<Arc<Device>> {
        static OPEN: Mutex<Option<HashMap<usize, Arc<Device>>>> = Mutex::new(None);
        let mut open = locked(&OPEN);
        let open = open.get_or_insert_default();
        if let Some(device) = open.get(&index)
            && !device.is_lost()
        {
            return Ok(device.clone());
        }
        let device = Arc::new(Device::new(index)?);
        // Set once, right here.
        let _ = device.arithmetic.set(Arithmetic::test(&device)?);
        open.insert(index, device.clone());
        Ok(device)
    }

    fn new(index: usize) -> Result<Device> {
        let mut found = found();
        if index >= found.len() {
            return Err(unknown(index, found.len()));
        }
        let (described, adapter) = found.swap_remove(index);
        let Some(adapter) = adapter else { return Err(gone(index, &described)) };
        let offered = adapter.limits();
        if offered.max_compute_invocations_per_workgroup < INVOCATIONS
            || offered.max_compute_workgroup_storage_size < WORKGROUP_BYTES
        {
            return Err(Error::new(
                Code::Unsupported,
                format!(
                    "{} has too small workgroups ({INVOCATIONS} invocations are needed): use device \"cpu\"",
                    described.name
                ),
            ));
        }
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_buffer_size: offered.max_buffer_size,
            ..wgpu::Limits::downlevel_defaults().using_minimum_supported_acceleration_structure_values()
        };
        let limits = wgpu::Limits {
            max_compute_invocations_per_workgroup: INVOCATIONS,
            max_compute_workgroup_storage_size: WORKGROUP_BYTES,
            max_compute_workgroup_size_x: INVOCATIONS,
            ..limits
        }
        .or_worse_values_from(&offered);
        let features = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("tslip"),
            required_features: features,
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        });
        let (handle, queue) = pollster::block_on(request)
            .map_err(|e| Error::new(Code::DeviceLost, format!("{} could not be opened: {e}", described.name)))?;
        let fate = Arc::new(Fate::default());
        let of_loss = fate.clone();
        handle.set_device_lost_callback(move |reason, message| {
            of_loss.lose(format!("{reason:?} {message}").trim());
        });
        let of_error = fate.clone();
        handle.on_uncaptured_error(Arc::new(move |error: wgpu::Error| of_error.tell(error.to_string())));
        let layout = layout(&handle);
        let pipeline_layout = handle.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("tslip"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let (counters, pipelines) = (Counters::default(), Pipelines::default());
        let (arithmetic, line) = (OnceLock::new(), Line::new(&handle, &fate)?);
        Ok(Device {
            handle,
            queue,
            layout,
            adapter: described,
            counters,
            pipeline_layout,
            pipelines,
            arithmetic,
            line,
            fate,
        })
    }

    /// What the self-test has found.
    pub fn arithmetic(&self) -> Arithmetic {
        *self.arithmetic.get().unwrap_or_else(|| unreachable!("a device is tested when it is opened"))
    }

    /// Whether the driver has given it up.
    pub fn is_lost(&self) -> bool {
        self.fate.lost.load(Ordering::Acquire)
    }

    /// An error if anything has gone wrong since it was opened.
    pub fn check(&self) -> Result<()> {
        if self.is_lost() {
            return Err(self.lost());
        }
        match locked(&self.fate.message).take() {
            None => Ok(()),
            Some(message) => Err(Error::internal(format!("{}: {message}", self.adapter.name))),
        }
    }

    fn lost(&self) -> Error {
        let why = locked(&self.fate.message).clone().unwrap_or_default();
        let name = &self.adapter.name;
        Error::new(
            Code::DeviceLost,
            format!(
                "the GPU {name} was lost ({why}), and with it what it had computed and nobody had read: load the last \
                 checkpoint and go on, on this device or with device \"cpu\""
            ),
        )
    }

    /// Takes the device away, as a driver that resets does.
    pub fn destroy(&self) {
        self.handle.destroy();
        // The driver tells of it at the next look.
        self.look();
        self.fate.lose("it was destroyed");
    }

    /// A buffer, or `OUT_OF_MEMORY`.
    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let memory = self.handle.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let invalid = self.handle.push_error_scope(wgpu::ErrorFilter::Validation);
        let size = bytes.max(16).next_multiple_of(16);
        let buffer = self.handle.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        let (invalid, memory) = (pollster::block_on(invalid.pop()), pollster::block_on(memory.pop()));
        self.check()?;
        if invalid.or(memory).is_some() {
            return Err(self.out_of_memory(bytes, 0));
        }
        self.counters.buffers.add(1);
        Ok(buffer)
    }

    /// The error for so many bytes that have no room beside those that are taken.
    pub(crate) fn out_of_memory(&self, bytes: u64, taken: u64) -> Error {
        let (name, mib) = (&self.adapter.name, |bytes: u64| bytes as f64 / f64::from(1 << 20));
        let message = format!(
            "{:.1} MiB do not fit on {name} beside the {:.1} MiB in use: it allows {:.1} MiB in one array; use a smaller \
             batch, or device \"cpu\"",
            mib(bytes),
            mib(taken),
            mib(self.adapter.heap_bytes)
        );
        Error::new(Code::OutOfMemory, message)
    }
}

fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let entry = |binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("tslip"),
        entries: &[
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, wgpu::BufferBindingType::Storage { read_only: true }, false),
            entry(2, wgpu::BufferBindingType::Storage { read_only: false }, false),
        ],
    })
}

fn unknown(index: usize, count: usize) -> Error {
    let message = match count {
        0 => "no GPU was found: install a Vulkan, Metal or DX12 driver (Debian's mesa-vulkan-drivers has one in software), \
              or use device \"cpu\""
            .to_string(),
        1 => format!("there is no device \"gpu:{index}\": this machine has one GPU, \"gpu:0\""),
        _ => format!("there is no device \"gpu:{index}\": this machine has GPUs 0 to {}", count - 1),
    };
    Error::new(Code::UnknownDevice, message)
}

fn gone(index: usize, adapter: &Adapter) -> Error {
    let name = &adapter.name;
    Error::new(Code::UnknownDevice, format!("\"gpu:{index}\", {name}, is gone: bring it back, or use another device"))
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_keeps_its_number_whatever_comes_and_goes() {
        assert_eq!(numbers(&[], &["a", "b"]), [0, 1]);
        assert_eq!(numbers(&["a", "b"], &["new", "b"]), [2, 1]);
        assert_eq!(numbers(&["a", "b"], &["b", "a", "new", "newer"]), [1, 0, 2, 3]);
        // Two that cannot be told apart.
        assert_eq!(numbers(&["a", "a"], &["a", "a", "a"]), [0, 1, 2]);
    }
}
