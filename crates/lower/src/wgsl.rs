//! The complete text of a kernel.
use std::fmt::Write;
use tslip_graph::gpu::Program;

const PRELUDE: &str = include_str!("prelude.wgsl");

/// The WGSL module of a program.
pub fn module(program: &Program) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "const WORKGROUP: u32 = {}u;", program.workgroup);
    for (name, value) in &program.constants {
        let _ = writeln!(text, "const {name}: u32 = {value}u;");
    }
    text.push_str(PRELUDE);
    for source in &program.sources {
        text.push('\n');
        text.push_str(source);
    }
    text
}
