//! Adapters of this machine, by numbers that stay.
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use tslip_graph::{Code, Error, Result};

use crate::lock::locked;

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

/// Looks whether a GPU is there and can do what kernels need. It is not opened.
///
/// # Errors
/// `UNKNOWN_DEVICE` where there is no such adapter, `UNSUPPORTED` where its workgroups are too small.
pub fn check(index: usize) -> Result<()> {
    adapter(index).map(drop)
}

/// Invocations of a workgroup, and bytes of memory that it shares, that every program may use.
pub(crate) const INVOCATIONS: u32 = 256;
pub(crate) const WORKGROUP_BYTES: u32 = 16 << 10;

/// Adapter `index`, which is there and can do what kernels need, and what it is.
///
/// # Errors
/// As for [`check`].
pub(crate) fn adapter(index: usize) -> Result<(Adapter, wgpu::Adapter)> {
    let mut found = found();
    if index >= found.len() {
        return Err(unknown(index, found.len()));
    }
    let (described, adapter) = found.swap_remove(index);
    let adapter = adapter.ok_or_else(|| gone(index, &described))?;
    let limits = &described.limits;
    if limits.workgroup_invocations < INVOCATIONS || limits.workgroup_bytes < WORKGROUP_BYTES {
        let name = &described.name;
        return Err(Error::new(
            Code::Unsupported,
            format!("{name} has too small workgroups ({INVOCATIONS} invocations are needed): use device \"cpu\""),
        ));
    }
    Ok((described, adapter))
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
