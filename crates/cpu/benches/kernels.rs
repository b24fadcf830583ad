//! Speed of the kernels on one thread, as Criterion measures it, beside the multiply-add peak.
//!
//! `cargo bench -p tslip-cpu` runs every level, `-- avx512` one, `-- conv` only what has it in its name, `-- 'avx2.*gemm'`
//! what the regular expression matches. Criterion's "elem/s" are FLOP/s; the line after gives the share of the peak.
use criterion::{BenchmarkId, Criterion, Throughput};
use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tslip_cpu::kernels::conv2d::{self, ConvShape};
use tslip_cpu::kernels::gemm::{Gemm, gemm, gemm_nt};
use tslip_cpu::peak::multiply_add_peak;
use tslip_cpu::simd::Level;

/// Criterion's defaults would take minutes for each level.
const WARM_UP: Duration = Duration::from_millis(200);
const MEASUREMENT: Duration = Duration::from_millis(1000);
const SAMPLES: usize = 20;

/// Measures `kernel`, then says which share of the peak its fastest sample reached: others use the machine too.
fn report(criterion: &mut Criterion, level: Level, name: &str, flops: usize, mut kernel: impl FnMut()) {
    let fastest = Cell::new(f64::INFINITY);
    let label = format!("{level:?}").to_lowercase();
    let mut group = criterion.benchmark_group(&label);
    group.throughput(Throughput::Elements(flops as u64));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter_custom(|turns| {
            let start = Instant::now();
            (0..turns).for_each(|_| kernel());
            let taken = start.elapsed();
            fastest.set(fastest.get().min(taken.as_secs_f64() / turns as f64));
            taken
        });
    });
    group.finish();
    // A name that was filtered out was not measured.
    if fastest.get().is_finite() {
        let (speed, peak) = (flops as f64 / fastest.get() / 1e9, multiply_add_peak(level, false) / 1e9);
        let share = 100.0 * speed / peak;
        println!("{label} {name}: {speed:.1} GFLOP/s, {share:.0} % of the peak of {peak:.0}");
    }
}

/// Random floats that begin at a cache line, as the executor's do. They live as long as the program.
fn noise(len: usize) -> &'static mut [f32] {
    let mut s = 0x9E37_79B9u32;
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        s as f32 / u32::MAX as f32 - 0.5
    };
    let all: &'static mut [f32] = Box::leak((0..len + 16).map(|_| next()).collect());
    let start = all.as_ptr().align_offset(64).min(16);
    &mut all[start..start + len]
}

/// How the operands of a product lie.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// C = A B.
    Rows,
    /// C += A^T B.
    WeightGradient,
    /// C = A B^T.
    Transposed,
}

fn product(criterion: &mut Criterion, level: Level, name: &str, [m, n, k]: [usize; 3], form: Form) {
    let (a, b, c) = (noise(m * k), noise(k * n), noise(m * n));
    report(criterion, level, &format!("gemm {name} {m}x{n}x{k}"), 2 * m * n * k, || {
        let accumulate = form == Form::WeightGradient;
        let a_strides = if accumulate { (1, m) } else { (k, 1) };
        let (b_row_stride, c_row_stride) = (if form == Form::Transposed { k } else { n }, n);
        let g = Gemm { m, n, k, a, a_strides, b, b_row_stride, c, c_row_stride, accumulate };
        if form == Form::Transposed {
            gemm_nt(level, g)
        } else {
            gemm(level, g)
        }
        black_box(&mut *c);
    });
}

fn convolution(criterion: &mut Criterion, level: Level, name: &str, s: ConvShape) {
    let (x, w) = (noise(s.n * s.h * s.w * s.cin), noise(s.kh * s.kw * s.cin / s.groups * s.cout));
    let dy = noise(s.n * s.out_h() * s.out_w() * s.cout);
    let (y, dx, dw) = (noise(dy.len()), noise(x.len()), noise(w.len()));
    let scratch = conv2d::forward_scratch(&s).max(conv2d::input_grad_scratch(&s)).max(conv2d::weight_grad_scratch(&s));
    let scratch = noise(scratch);
    let flops = 2 * dy.len() * s.kh * s.kw * s.cin / s.groups;
    report(criterion, level, &format!("conv {name} forward"), flops, || {
        conv2d::forward(level, &s, x, w, None, y, scratch);
        black_box(&mut *y);
    });
    report(criterion, level, &format!("conv {name} input_grad"), flops, || {
        conv2d::input_grad(level, &s, dy, w, dx, scratch);
        black_box(&mut *dx);
    });
    report(criterion, level, &format!("conv {name} weight_grad"), flops, || {
        conv2d::weight_grad(level, &s, x, dy, dw, scratch);
        black_box(&mut *dw);
    });
}

fn main() {
    let mut configured = Criterion::default()
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .sample_size(SAMPLES)
        .without_plots()
        .configure_from_args();
    let criterion = &mut configured;
    let base = ConvShape {
        n: 8,
        h: 28,
        w: 28,
        cin: 1,
        cout: 16,
        kh: 3,
        kw: 3,
        stride: [1, 1],
        padding: [1; 4],
        dilation: [1, 1],
        groups: 1,
    };
    for level in Level::available().into_iter().rev() {
        convolution(criterion, level, "1->16 @28x28", base);
        convolution(criterion, level, "16->32 @14x14", ConvShape { h: 14, w: 14, cin: 16, cout: 32, ..base });
        convolution(criterion, level, "3->32 @32x32", ConvShape { h: 32, w: 32, cin: 3, cout: 32, ..base });
        convolution(criterion, level, "32->64 @7x7", ConvShape { h: 7, w: 7, cin: 32, cout: 64, ..base });
        convolution(criterion, level, "9->33 @13x13", ConvShape { h: 13, w: 13, cin: 9, cout: 33, ..base });
        convolution(
            criterion,
            level,
            "32->64 @16x16 stride 2",
            ConvShape { h: 16, w: 16, cin: 32, cout: 64, stride: [2, 2], ..base },
        );
        for rows in [16, 256, 4096] {
            product(criterion, level, "y", [rows, 64, 1568], Form::Rows);
            product(criterion, level, "dx", [rows, 1568, 64], Form::Rows);
            product(criterion, level, "y", [rows, 10, 64], Form::Rows);
        }
        for rows in [16, 64] {
            product(criterion, level, "dw", [64, 1568, rows], Form::WeightGradient);
        }
        product(criterion, level, "dw", [64, 1568, 4096], Form::WeightGradient);
        product(criterion, level, "gram", [64, 64, 1568], Form::Rows);
        product(criterion, level, "gram nt", [64, 64, 1568], Form::Transposed);
        product(criterion, level, "bjorck", [64, 1568, 64], Form::Rows);
        product(criterion, level, "square", [512, 512, 512], Form::Rows);
        product(criterion, level, "square", [1024, 1024, 1024], Form::Rows);
        product(criterion, level, "square nt", [1024, 1024, 1024], Form::Transposed);
    }
    configured.final_summary();
}
