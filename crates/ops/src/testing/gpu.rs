//! Every op on a GPU.
use naga::valid::{Capabilities, ValidationFlags, Validator};
use tslip_graph::Spec;
use tslip_graph::gpu::Form;

use super::each_case;
use super::variants::variants;

#[test]
fn every_kernel_is_valid_wgsl() {
    each_case(|case| {
        for v in variants(case)? {
            let specs: Vec<&Spec> = v.specs.iter().collect();
            let form = v.op.gpu(&specs, &v.output).map_err(|e| e.to_string())?;
            let Form::Kernels(launches) = form else { continue };
            for launch in launches {
                let text = tslip_gpu::wgsl::module(&launch.program);
                let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
                Validator::new(ValidationFlags::all(), Capabilities::empty())
                    .validate(&module)
                    .map_err(|e| e.emit_to_string(&text))?;
            }
        }
        Ok(())
    });
}
