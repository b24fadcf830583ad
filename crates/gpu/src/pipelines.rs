//! Kernels compiled by the driver, once for each text.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tslip_graph::{Code, Error, Result};

use crate::counters::Counters;
use crate::fate::{Fate, scoped};
use crate::lock::locked;

/// Compiled kernels by their text.
#[derive(Debug)]
pub struct Pipelines {
    handle: wgpu::Device,
    layout: wgpu::PipelineLayout,
    adapter: String,
    fate: Arc<Fate>,
    counters: Arc<Counters>,
    compiled: Mutex<HashMap<String, Arc<wgpu::ComputePipeline>>>,
}

/// With more of them, those that no plan uses are dropped before another is kept.
const MOST_PIPELINES: usize = 1024;

impl Pipelines {
    /// None yet, on a device whose kernels are bound as `bindings` says.
    pub fn new(
        handle: wgpu::Device,
        bindings: &wgpu::BindGroupLayout,
        adapter: &str,
        fate: Arc<Fate>,
        counters: Arc<Counters>,
    ) -> Pipelines {
        let layout = handle.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("tslip"),
            bind_group_layouts: &[Some(bindings)],
            immediate_size: 0,
        });
        Pipelines { handle, layout, adapter: adapter.to_string(), fate, counters, compiled: Mutex::default() }
    }

    /// The kernel of a text, compiled once.
    ///
    /// # Errors
    /// `UNSUPPORTED` with the driver's words where it rejects the kernel.
    pub fn of(&self, name: &str, text: &str) -> Result<Arc<wgpu::ComputePipeline>> {
        if let Some(known) = locked(&self.compiled).get(text) {
            return Ok(known.clone());
        }
        let (pipeline, error) = scoped(&self.handle, || {
            let module = module(&self.handle, name, text);
            self.handle.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&self.layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        });
        self.fate.check()?;
        if let Some(error) = error {
            let message = format!("{} rejects the kernel \"{name}\": {error}: use device \"cpu\"", self.adapter);
            return Err(Error::new(Code::Unsupported, message));
        }
        self.counters.pipelines.add(1);
        let pipeline = Arc::new(pipeline);
        let mut compiled = locked(&self.compiled);
        if compiled.len() >= MOST_PIPELINES {
            compiled.retain(|_, pipeline| Arc::strong_count(pipeline) > 1);
        }
        compiled.insert(text.to_string(), pipeline.clone());
        Ok(pipeline)
    }
}

/// A kernel without the checks that wgpu adds for texts of strangers: a counter in every loop, which keeps drivers from unrolling
/// any, a clamp of every index and a test of every divisor. They are most instructions of a product's inner loop (`docs/gpu.md`).
#[expect(unsafe_code, reason = "the one place where checks are left out")]
fn module(device: &wgpu::Device, name: &str, text: &str) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(text.into()) };
    // SAFETY: nothing here checks a text. `Pipelines`, the only caller, is of this crate, and is given texts of this crate, of
    // `tslip-lower`, and those that ops bring (`Op::gpu`): whoever writes an op answers for what follows as for this block. It holds of
    // those of `tslip-ops`, and there are no others; users of the package bring none. Their loops count to a word of the table,
    // which an op's launch has written, or are left after so many turns. Integer divisors are extents, strides, windows and
    // numbers of tiles or lanes, of launches that have elements, so that none is 0. Indices of private and workgroup arrays are
    // constants or remainders. Indices into the heap are elements of tensors whose places the planner gave; those that come from
    // data are compared with the extent or limited to it first. Every op runs on random and adversarial shapes in the tests.
    // Beyond that, wgpu asks for robust access to buffers wherever the adapter has it.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}
