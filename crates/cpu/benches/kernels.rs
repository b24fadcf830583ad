//! Speed of the kernels, as GFLOP/s of one thread and as a share of the multiply-add peak measured beside each.
//!
//! `cargo bench -p tslip-cpu` runs every level, `-- avx512` one, `-- conv` only what has it in its name.
use std::hint::black_box;
use std::time::Instant;
use tslip_cpu::dispatch;
use tslip_cpu::kernels::conv2d::{self, ConvShape};
use tslip_cpu::kernels::gemm::{Gemm, gemm, gemm_nt};
use tslip_cpu::simd::{Level, Simd};

/// Enough independent chains to hide the latency of a multiply-add, few enough for sixteen registers.
const CHAINS: usize = 12;
const TURNS: usize = 20_000;
/// The fastest of so many runs counts: others use the machine too.
const SAMPLES: usize = 40;

#[inline(always)]
unsafe fn chains<S: Simd>(out: &mut [f32]) {
    // SAFETY: `dispatch!` has enabled the instructions; out holds a register.
    unsafe {
        let (a, b) = (S::splat(black_box(0.999)), S::splat(black_box(1e-3)));
        let mut sums = [S::splat(black_box(1.0)); CHAINS];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = S::mul_add(*sum, a, b);
            }
        }
        let total = sums.into_iter().reduce(|x, y| S::add(x, y)).unwrap_or(a);
        S::store(out.as_mut_ptr(), total);
        out[16] = S::LANES as f32;
    }
}

fn multiply_adds(level: Level, out: &mut [f32]) {
    dispatch!(level, chains(out: &mut [f32]));
}

/// Seconds of the fastest of [`SAMPLES`] runs, each long enough for the clock.
fn fastest(mut run: impl FnMut()) -> f64 {
    let mut once = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    once();
    let turns = (2e-4 / once().max(1e-9)).ceil() as usize;
    (0..SAMPLES).map(|_| (0..turns).map(|_| once()).sum::<f64>() / turns as f64).fold(f64::INFINITY, f64::min)
}

/// Runs `kernel` and the peak loop alternately and prints both.
fn report(level: Level, name: &str, flops: usize, kernel: impl FnMut()) {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let label = format!("{level:?} {name}").to_lowercase();
    if !wanted.iter().all(|w| label.contains(&w.to_lowercase())) {
        return;
    }
    let mut out = [0.0f32; 17];
    let peak_seconds = fastest(|| multiply_adds(level, black_box(&mut out)));
    let peak = 2.0 * f64::from(out[16]) * (CHAINS * TURNS) as f64 / peak_seconds / 1e9;
    let seconds = fastest(kernel);
    let speed = flops as f64 / seconds / 1e9;
    println!("{label:<52} {:>9.1} us {speed:>7.1} GFLOP/s {:>5.0} % of {peak:.0}", seconds * 1e6, 100.0 * speed / peak);
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

fn product(level: Level, name: &str, [m, n, k]: [usize; 3], form: Form) {
    let (a, b, c) = (noise(m * k), noise(k * n), noise(m * n));
    report(level, &format!("gemm {name} {m}x{n}x{k}"), 2 * m * n * k, || {
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

fn convolution(level: Level, name: &str, s: ConvShape) {
    let (x, w) = (noise(s.n * s.h * s.w * s.cin), noise(s.kh * s.kw * s.cin / s.groups * s.cout));
    let dy = noise(s.n * s.out_h() * s.out_w() * s.cout);
    let (y, dx, dw) = (noise(dy.len()), noise(x.len()), noise(w.len()));
    let scratch = conv2d::forward_scratch(&s).max(conv2d::input_grad_scratch(&s)).max(conv2d::weight_grad_scratch(&s));
    let scratch = noise(scratch);
    let flops = 2 * dy.len() * s.kh * s.kw * s.cin / s.groups;
    report(level, &format!("conv {name} forward"), flops, || {
        conv2d::forward(level, &s, x, w, y, scratch);
        black_box(&mut *y);
    });
    report(level, &format!("conv {name} input_grad"), flops, || {
        conv2d::input_grad(level, &s, dy, w, dx, scratch);
        black_box(&mut *dx);
    });
    report(level, &format!("conv {name} weight_grad"), flops, || {
        conv2d::weight_grad(level, &s, x, dy, dw, scratch);
        black_box(&mut *dw);
    });
}

fn main() {
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
        convolution(level, "1->16 @28x28", base);
        convolution(level, "16->32 @14x14", ConvShape { h: 14, w: 14, cin: 16, cout: 32, ..base });
        convolution(level, "3->32 @32x32", ConvShape { h: 32, w: 32, cin: 3, cout: 32, ..base });
        convolution(level, "32->64 @7x7", ConvShape { h: 7, w: 7, cin: 32, cout: 64, ..base });
        convolution(level, "9->33 @13x13", ConvShape { h: 13, w: 13, cin: 9, cout: 33, ..base });
        convolution(
            level,
            "32->64 @16x16 stride 2",
            ConvShape { h: 16, w: 16, cin: 32, cout: 64, stride: [2, 2], ..base },
        );
        for rows in [16, 256, 4096] {
            product(level, "y", [rows, 64, 1568], Form::Rows);
            product(level, "dx", [rows, 1568, 64], Form::Rows);
            product(level, "y", [rows, 10, 64], Form::Rows);
        }
        for rows in [16, 64] {
            product(level, "dw", [64, 1568, rows], Form::WeightGradient);
        }
        product(level, "dw", [64, 1568, 4096], Form::WeightGradient);
        product(level, "gram", [64, 64, 1568], Form::Rows);
        product(level, "gram nt", [64, 64, 1568], Form::Transposed);
        product(level, "bjorck", [64, 1568, 64], Form::Rows);
        product(level, "square", [512, 512, 512], Form::Rows);
        product(level, "square", [1024, 1024, 1024], Form::Rows);
        product(level, "square nt", [1024, 1024, 1024], Form::Transposed);
    }
}
