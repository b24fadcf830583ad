//! The complete text of a kernel.
use std::fmt::Write;
use tslip_graph::gpu::Kernel;

const PRELUDE: &str = include_str!("prelude.wgsl");

/// The WGSL module of a kernel.
pub fn module(kernel: &Kernel) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "const WORKGROUP: u32 = {}u;", kernel.workgroup);
    for (name, value) in &kernel.constants {
        let _ = writeln!(text, "const {name}: u32 = {value}u;");
    }
    text.push_str(PRELUDE);
    for source in &kernel.sources {
        text.push('\n');
        text.push_str(source);
    }
    text
}
