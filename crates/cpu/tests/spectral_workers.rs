//! Products of weights are shared out by shapes alone: the same bits for any number of workers.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;

use tslip_cpu::pool::pool;
use tslip_cpu::simd::Level;
use tslip_cpu::spectral;

/// Set in a process that only prints what it computes.
const CHILD: &str = "TSLIP_TEST_PRINTS_BITS";
const NAME: &str = "any_number_of_workers_gives_the_same_bits";
/// Wide, tall and square, small and large: each way in which work is shared out.
const SHAPES: [[usize; 2]; 6] = [[64, 1568], [1568, 64], [32, 144], [300, 300], [512, 784], [700, 300]];

fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut s = seed;
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        s as f32 / u32::MAX as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

/// A line with the bits of all that is computed from a weight of each shape.
fn bits() -> String {
    let of = |[m, n]: [usize; 2]| {
        let (level, w, d) = (Level::current(), noise(1, m * n), noise(2, m * n));
        let mut scratch = vec![0.0; spectral::bjorck_grad_scratch(m, n).max(spectral::spectral_norm_scratch(m, n))];
        let mut out = vec![0.0; m * n];
        let mut hasher = DefaultHasher::new();
        let mut add = |values: &[f32]| values.iter().for_each(|v| v.to_bits().hash(&mut hasher));
        let sigma = spectral::spectral_norm(level, &w, m, n, &mut scratch);
        add(&[sigma]);
        spectral::spectral_norm_grad(level, &w, m, n, &mut out, &mut scratch);
        add(&out);
        let unit: Vec<f32> = w.iter().map(|v| v / sigma).collect();
        spectral::bjorck(level, &unit, m, n, 9, 0.5, &mut out, &mut scratch);
        add(&out);
        spectral::bjorck_grad(level, &unit, m, n, 9, 0.5, &d, &mut out, &mut scratch);
        add(&out);
        // Nearly orthonormal: the polar factor in the place of iterations.
        spectral::bjorck(level, &unit, m, n, 25, 0.5, &mut out, &mut scratch);
        let near: Vec<f32> = out.iter().zip(&unit).map(|(near, unit)| 0.9 * near + 0.1 * unit).collect();
        spectral::bjorck(level, &near, m, n, 15, 0.5, &mut out, &mut scratch);
        add(&out);
        spectral::bjorck_grad(level, &near, m, n, 15, 0.5, &d, &mut out, &mut scratch);
        add(&out);
        hasher.finish().to_string()
    };
    format!("{} workers: {}", pool().workers(), SHAPES.map(of).join(" "))
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    if std::env::var_os(CHILD).is_some() {
        println!("{}", bits());
        return;
    }
    let with = |workers: usize| {
        let mut child = Command::new(std::env::current_exe().expect("this test has a file"));
        child.args(["--exact", NAME, "--nocapture"]).env(CHILD, "1").env("TSLIP_THREADS", workers.to_string());
        let output = String::from_utf8(child.output().expect("the test runs again").stdout).expect("text");
        let start = format!("{workers} workers: ");
        let line = output.lines().find_map(|line| line.split_once(&start));
        line.unwrap_or_else(|| panic!("no result in {output}")).1.to_string()
    };
    let alone = with(1);
    assert_eq!(alone.split(' ').count(), SHAPES.len());
    for workers in [2, 3] {
        assert_eq!(with(workers), alone, "{workers} workers");
    }
}
