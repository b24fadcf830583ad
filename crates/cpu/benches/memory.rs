//! Speed of the kernels that pass over memory: nanoseconds an input element, and GB/s read and written by one thread.
//!
//! `cargo bench -p tslip-cpu --bench memory` runs the best level, `-- portable` another, `-- sort` only what has it in
//! its name. A chunk of samples is as large as the executor's: it stays in the second cache.
use std::hint::black_box;
use std::time::Instant;
use tslip_cpu::kernels::pool::{self, Windows};
use tslip_cpu::kernels::sort::{Direction, Groups, group_permute, group_sort};
use tslip_cpu::simd::Level;

/// Floats of the largest operand.
const CHUNK: usize = 1 << 16;
/// The fastest of so many runs counts: others use the machine too.
const SAMPLES: usize = 200;

/// Prints the time of the fastest run of a kernel that reads and writes so many floats.
fn report(level: Level, name: &str, elements: usize, floats: usize, mut kernel: impl FnMut()) {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let label = format!("{level:?} {name}").to_lowercase();
    let named = ["portable", "avx2", "avx512"].iter().any(|l| wanted.iter().any(|w| w == l));
    if !wanted.iter().all(|w| label.contains(w)) || (!named && Some(&level) != Level::available().last()) {
        return;
    }
    let mut once = || {
        let start = Instant::now();
        kernel();
        start.elapsed().as_secs_f64()
    };
    once();
    let seconds = (0..SAMPLES).map(|_| once()).fold(f64::INFINITY, f64::min);
    let (each, speed) = (seconds * 1e9 / elements as f64, 4.0 * floats as f64 / seconds / 1e9);
    println!("{label:<64} {each:>8.3} ns an element {speed:>8.1} GB/s");
}

fn noise(len: usize) -> Vec<f32> {
    let mut s = 0x9E37_79B9u32;
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        s as f32 / u32::MAX as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

fn sorting(level: Level, size: usize, stride: usize) {
    let groups = Groups { outer: (CHUNK / size / stride).max(1), size, stride };
    let n = groups.outer * size * stride;
    let (x, v, mut y, mut scratch) = (noise(n), noise(n), noise(n), noise(groups.scratch()));
    let name = format!("of {size} every {stride}");
    report(level, &format!("sort {name}"), n, 2 * n, || {
        group_sort(level, &groups, &x, &mut y, &mut scratch);
        black_box(&mut y);
    });
    for direction in [Direction::Sorting, Direction::Back] {
        report(level, &format!("permute {direction:?} {name}"), n, 3 * n, || {
            group_permute(level, &groups, direction, &x, &v, &mut y, &mut scratch);
            black_box(&mut y);
        });
    }
}

fn pooling(level: Level, h: usize, w: usize, inner: usize, kernel: usize, stride: usize) {
    let (kernel, stride) = ([kernel; 2], [stride; 2]);
    let windows = Windows { outer: (CHUNK / h / w / inner).max(1), h, w, inner, kernel, stride };
    let n = windows.outer * h * w * inner;
    let [rows, columns] = windows.count();
    let m = windows.outer * rows * columns * inner;
    let (x, dy, mut y, mut dx) = (noise(n), noise(m), noise(m), noise(n));
    let name = format!("{h}x{w}x{inner} {kernel:?} step {stride:?}");
    let all = n + m;
    report(level, &format!("norm {name}"), n, all, || pool::norm(level, &windows, &x, black_box(&mut y)));
    report(level, &format!("norm_grad {name}"), n, all + n + m, || {
        pool::norm_grad(level, &windows, &x, &y, &dy, black_box(&mut dx));
    });
    if inner % 2 == 0 {
        report(level, &format!("sorted_norm {name}"), n, all, || {
            pool::sorted_norm(level, &windows, &x, black_box(&mut y));
        });
        report(level, &format!("sorted_norm_grad {name}"), n, all + n + m, || {
            pool::sorted_norm_grad(level, &windows, &x, &y, &dy, black_box(&mut dx));
        });
    }
    report(level, &format!("sum {name}"), n, all, || pool::sum(level, &windows, &x, black_box(&mut y)));
    report(level, &format!("sum_grad {name}"), n, all, || pool::sum_grad(level, &windows, &dy, black_box(&mut dx)));
}

fn main() {
    for level in Level::available() {
        for size in [2, 3, 4, 5, 6, 7, 8, 10, 16, 32, 64, 128, 512, 1568] {
            sorting(level, size, 1);
        }
        for (size, stride) in [(2, 784), (3, 784), (5, 784), (16, 49), (64, 49)] {
            sorting(level, size, stride);
        }
        for (h, w, inner) in [(28, 28, 16), (14, 14, 32), (32, 32, 3), (27, 27, 1), (28, 28, 1), (14, 14, 10)] {
            for (kernel, stride) in [(2, 2), (3, 2), (3, 1), (7, 7)] {
                pooling(level, h, w, inner, kernel, stride);
            }
        }
    }
}
