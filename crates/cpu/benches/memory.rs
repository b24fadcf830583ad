//! Speed of the kernels that pass over memory on one thread, as Criterion measures it.
//!
//! `cargo bench -p tslip-cpu --bench memory` runs every level, `-- 'avx512.*sort'` what the regular expression matches.
//! "elem/s" are floats of the image that are read. A chunk of samples is as large as the executor's: it stays in the
//! second cache.
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use std::time::Duration;
use tslip_cpu::kernels::pool::{self, Windows};
use tslip_cpu::kernels::sort::{Direction, Groups, group_permute, group_sort};
use tslip_cpu::simd::Level;

/// Floats of the largest operand.
const CHUNK: usize = 1 << 16;
/// Criterion's defaults would take minutes for each level.
const WARM_UP: Duration = Duration::from_millis(100);
const MEASUREMENT: Duration = Duration::from_millis(300);
const SAMPLES: usize = 20;

/// Measures a kernel that reads an image of so many floats.
fn report(criterion: &mut Criterion, level: Level, name: &str, floats: usize, mut kernel: impl FnMut()) {
    let mut group = criterion.benchmark_group(format!("{level:?}").to_lowercase());
    group.throughput(Throughput::Elements(floats as u64));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| bencher.iter(&mut kernel));
    group.finish();
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

fn sorting(c: &mut Criterion, level: Level, size: usize, stride: usize) {
    let groups = Groups { outer: (CHUNK / size / stride).max(1), size, stride };
    let n = groups.outer * size * stride;
    let (x, v, mut y, mut scratch) = (noise(n), noise(n), noise(n), noise(groups.scratch()));
    let name = format!("of {size} every {stride}");
    report(c, level, &format!("sort {name}"), n, || {
        group_sort(level, &groups, &x, &mut y, &mut scratch);
        black_box(&mut y);
    });
    for direction in [Direction::Sorting, Direction::Back] {
        report(c, level, &format!("permute {direction:?} {name}"), n, || {
            group_permute(level, &groups, direction, &x, &v, &mut y, &mut scratch);
            black_box(&mut y);
        });
    }
}

fn pooling(c: &mut Criterion, level: Level, h: usize, w: usize, inner: usize, kernel: usize, stride: usize) {
    let (kernel, stride) = ([kernel; 2], [stride; 2]);
    let windows = Windows { outer: (CHUNK / h / w / inner).max(1), h, w, inner, kernel, stride };
    let n = windows.outer * h * w * inner;
    let [rows, columns] = windows.count();
    let m = windows.outer * rows * columns * inner;
    let (x, dy, mut y, mut dx) = (noise(n), noise(m), noise(m), noise(n));
    let name = format!("{h}x{w}x{inner} {kernel:?} step {stride:?}");
    report(c, level, &format!("norm {name}"), n, || pool::norm(level, &windows, &x, black_box(&mut y)));
    report(c, level, &format!("norm_grad {name}"), n, || {
        pool::norm_grad(level, &windows, &x, &y, &dy, black_box(&mut dx));
    });
    if inner.is_multiple_of(2) {
        report(c, level, &format!("sorted_norm {name}"), n, || {
            pool::sorted_norm(level, &windows, &x, black_box(&mut y));
        });
        report(c, level, &format!("sorted_norm_grad {name}"), n, || {
            pool::sorted_norm_grad(level, &windows, &x, &y, &dy, black_box(&mut dx));
        });
    }
    report(c, level, &format!("sum {name}"), n, || pool::sum(level, &windows, &x, black_box(&mut y)));
    report(c, level, &format!("sum_grad {name}"), n, || pool::sum_grad(level, &windows, &dy, black_box(&mut dx)));
}

fn main() {
    let criterion = Criterion::default().warm_up_time(WARM_UP).measurement_time(MEASUREMENT).sample_size(SAMPLES);
    let c = &mut criterion.configure_from_args();
    for level in Level::available() {
        for size in [2, 3, 4, 5, 8, 10, 16, 64, 256, 1568] {
            sorting(c, level, size, 1);
        }
        for (size, stride) in [(3, 784), (16, 49)] {
            sorting(c, level, size, stride);
        }
        for (h, w, inner) in [(28, 28, 16), (14, 14, 32), (16, 16, 33), (14, 14, 10), (32, 32, 3), (27, 27, 1)] {
            for (kernel, stride) in [(2, 2), (3, 2), (3, 1), (7, 7)] {
                pooling(c, level, h, w, inner, kernel, stride);
            }
        }
    }
    c.final_summary();
}
