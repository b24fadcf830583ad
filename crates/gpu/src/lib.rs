//! Runs plans on a GPU through wgpu: Vulkan, Metal or DX12.
#![forbid(unsafe_code)]

pub mod wgsl;
