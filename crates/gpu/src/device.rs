//! A device: its buffers, its kernels, and what is submitted to it.
use std::sync::Arc;
use tslip_graph::{Code, Error, Result};

use crate::adapter::{Adapter, INVOCATIONS, SOFTWARE, WORKGROUP_BYTES};
use crate::counters::Counters;
use crate::fate::{Fate, scoped};
use crate::pipelines::Pipelines;
use crate::submissions::Submissions;

/// An open device.
#[derive(Debug)]
pub struct Device {
    pub(crate) handle: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    /// What it was opened on.
    pub adapter: Adapter,
    /// What has been asked of it.
    pub counters: Arc<Counters>,
    pub(crate) pipelines: Pipelines,
    pub(crate) submissions: Submissions,
    bindings: wgpu::BindGroupLayout,
    fate: Arc<Fate>,
}

impl Device {
    /// A device on an adapter, which is described.
    ///
    /// # Errors
    /// `UNSUPPORTED` where it cannot do what kernels need, `DEVICE_LOST` where its driver refuses.
    pub(crate) fn new(described: Adapter, adapter: &wgpu::Adapter) -> Result<Device> {
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
        let fate = Arc::new(Fate::new(&described.name));
        let of_loss = fate.clone();
        handle.set_device_lost_callback(move |reason, message| {
            of_loss.lose(format!("{reason:?} {message}").trim());
        });
        let of_error = fate.clone();
        // What is expected to fail looks for its own errors; after any other nobody knows what the device holds.
        handle.on_uncaptured_error(Arc::new(move |error: wgpu::Error| of_error.lose(error.to_string())));
        let (bindings, counters) = (bindings(&handle), Arc::<Counters>::default());
        let pipelines = Pipelines::new(handle.clone(), &bindings, &described.name, fate.clone(), counters.clone());
        let watched = described.kind != SOFTWARE;
        let submissions = Submissions::new(handle.clone(), queue.clone(), watched, fate.clone(), counters.clone())?;
        Ok(Device { handle, queue, adapter: described, counters, pipelines, submissions, bindings, fate })
    }

    /// Whether the driver has given it up.
    pub fn is_lost(&self) -> bool {
        self.fate.is_lost()
    }

    /// `DEVICE_LOST` where the driver has given it up.
    pub fn check(&self) -> Result<()> {
        self.fate.check()
    }

    /// Takes the device away, as a driver that resets does.
    pub fn destroy(&self) {
        self.fate.lose("it was destroyed");
        self.handle.destroy();
        // The driver tells of it at the next look.
        self.submissions.look();
    }

    /// Commands, none yet.
    pub(crate) fn encoder(&self) -> wgpu::CommandEncoder {
        self.handle.create_command_encoder(&Default::default())
    }

    /// A buffer.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let size = bytes.max(16).next_multiple_of(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let (buffer, error) = scoped(&self.handle, || self.handle.create_buffer(&descriptor));
        self.check()?;
        if error.is_some() {
            let (name, mib) = (&self.adapter.name, mib(size));
            let message = format!("{name} has no {mib:.1} MiB left: use a smaller batch, or device \"cpu\"");
            return Err(Error::new(Code::OutOfMemory, message));
        }
        self.counters.buffers.add(1);
        Ok(buffer)
    }

    /// What a kernel reaches: 16 bytes of uniforms, a buffer that it reads, and one that it reads and writes.
    pub(crate) fn bind(&self, uniforms: &wgpu::Buffer, read: &wgpu::Buffer, written: &wgpu::Buffer) -> wgpu::BindGroup {
        let one = wgpu::BufferBinding { buffer: uniforms, offset: 0, size: std::num::NonZeroU64::new(16) };
        self.counters.bind_groups.add(1);
        self.handle.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tslip"),
            layout: &self.bindings,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(one) },
                wgpu::BindGroupEntry { binding: 1, resource: read.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 2, resource: written.as_entire_binding() },
            ],
        })
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

fn bindings(device: &wgpu::Device) -> wgpu::BindGroupLayout {
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
