//! Devices that are open: one for each adapter and process.
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tslip_graph::{Code, Error, Result};

use crate::adapter::{Adapter, INVOCATIONS, WORKGROUP_BYTES, adapter};
use crate::arithmetic::Arithmetic;
use crate::counters::Counters;
use crate::line::Line;
use crate::pipelines::Pipelines;

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
    /// The device is gone; the first reason is kept.
    pub fn lose(&self, why: impl Into<String>) {
        locked(&self.message).get_or_insert(why.into());
        self.lost.store(true, Ordering::Release);
    }
}

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
        let (described, adapter) = adapter(index)?;
        let offered = adapter.limits();
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
        // What is expected to fail looks for its own errors; after any other nobody knows what the device holds.
        handle.on_uncaptured_error(Arc::new(move |error: wgpu::Error| of_error.lose(error.to_string())));
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

    /// `DEVICE_LOST` where the driver has given it up.
    pub fn check(&self) -> Result<()> {
        if self.is_lost() { Err(self.lost()) } else { Ok(()) }
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

    /// What `run` gives, and what the driver says against it.
    pub(crate) fn scoped<T>(&self, run: impl FnOnce() -> T) -> (T, Option<wgpu::Error>) {
        use wgpu::ErrorFilter as Filter;
        let scopes = [Filter::Internal, Filter::Validation, Filter::OutOfMemory];
        let scopes = scopes.map(|filter| self.handle.push_error_scope(filter));
        let value = run();
        let errors = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop()));
        // All have to be popped.
        let error = errors.fold(None, |first: Option<wgpu::Error>, error| first.or(error));
        (value, error)
    }

    /// A buffer.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let size = bytes.max(16).next_multiple_of(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let (buffer, error) = self.scoped(|| self.handle.create_buffer(&descriptor));
        self.check()?;
        if error.is_some() {
            let (name, mib) = (&self.adapter.name, mib(size));
            let message = format!("{name} has no {mib:.1} MiB left: use a smaller batch, or device \"cpu\"");
            return Err(Error::new(Code::OutOfMemory, message));
        }
        self.counters.buffers.add(1);
        Ok(buffer)
    }

    /// The error for so many bytes that have no room in the one array beside those that are taken.
    pub(crate) fn out_of_memory(&self, bytes: u64, taken: u64) -> Error {
        let message = format!(
            "{:.1} MiB do not fit on {} beside the {:.1} MiB in use: it allows {:.1} MiB in one array; use a smaller batch, \
             or device \"cpu\"",
            mib(bytes),
            self.adapter.name,
            mib(taken),
            mib(self.adapter.heap_bytes)
        );
        Error::new(Code::OutOfMemory, message)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
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

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
