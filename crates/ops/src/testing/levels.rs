//! Runs the tests of every op again in child processes, one for each lower level of vector instructions of this machine.
use std::process::Command;
use tslip_cpu::simd::Level;

/// Runs the tests of this file whose names contain `tests`, but none of `except`, at every level but the one that they run at
/// anyway.
pub fn again_at_other_levels(tests: &str, except: &[&str]) {
    let file = std::env::current_exe().expect("this test has a file");
    for level in Level::available().into_iter().filter(|&level| level != Level::current()) {
        let mut child = Command::new(&file);
        child.arg(tests).args(except.iter().flat_map(|name| ["--skip", name])).env("TSLIP_SIMD", level.name());
        let output = child.output().expect("the tests run again");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "with {}:\n{text}\n{}", level.name(), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains("running 0 tests"), "no test is called {tests}:\n{text}");
    }
}
