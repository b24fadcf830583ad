//! Every kernel on slices that end, and on slices that begin, where the next page may not be touched: what reads or writes past one of them
//! ends the test, whatever it does with what it finds there.
#![cfg(target_os = "linux")]
use std::ffi::{c_int, c_void};
use tslip_cpu::kernels::conv2d::{self, ConvShape};
use tslip_cpu::kernels::gemm::{Gemm, gemm, gemm_nt};
use tslip_cpu::kernels::pool::{self, Windows};
use tslip_cpu::kernels::sort::{Direction, Groups, group_permute, group_sort};
use tslip_cpu::kernels::transpose::transpose;
use tslip_cpu::simd::Level;

mod common;
use common::noise;

unsafe extern "C" {
    fn mmap(at: *mut c_void, len: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    fn mprotect(at: *mut c_void, len: usize, protection: c_int) -> c_int;
}

/// A multiple of every size of a page.
const PAGE: usize = 1 << 16;
const FLOATS: usize = 16 * PAGE / size_of::<f32>();

/// Memory between two pages that may not be touched. Never given back.
struct Fenced(&'static mut [f32]);

impl Fenced {
    fn new(seed: u64) -> Self {
        let bytes = FLOATS * size_of::<f32>();
        // SAFETY: PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS: fresh memory of zeros, of which the first and the last
        // page are taken away and the rest, aligned as a page is, is lent for ever to this slice alone.
        let memory = unsafe {
            let start = mmap(std::ptr::null_mut(), bytes + 2 * PAGE, 3, 0x22, -1, 0);
            assert!(start.addr() != usize::MAX, "no memory");
            assert!(mprotect(start, PAGE, 0) == 0 && mprotect(start.byte_add(PAGE + bytes), PAGE, 0) == 0, "no fence");
            std::slice::from_raw_parts_mut(start.byte_add(PAGE).cast::<f32>(), FLOATS)
        };
        memory.copy_from_slice(&noise(seed, FLOATS));
        Fenced(memory)
    }

    fn cut(&mut self, len: usize, at_end: bool) -> &mut [f32] {
        let from = if at_end { FLOATS - len } else { 0 };
        &mut self.0[from..][..len]
    }
}

/// Runs a test at every level, with slices at the end and at the beginning.
fn each(run: impl Fn(Level, bool, &mut [Fenced; 5])) {
    let mut memory = [1, 2, 3, 4, 5].map(Fenced::new);
    for level in Level::available() {
        [true, false].into_iter().for_each(|at_end| run(level, at_end, &mut memory));
    }
}

/// Around the lanes of every register, of two, and of three.
const SIZES: [usize; 14] = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 49];

#[test]
fn products_stay_inside_their_operands() {
    each(|level, end, [a, b, c, ..]| {
        for n in SIZES {
            for (m, k) in [(1, 1), (2, 9), (3, 4), (13, 5), (15, 2), (29, 261)] {
                for a_strides in [(k, 1), (1, m)] {
                    for accumulate in [false, true] {
                        let (a, b, c) = (a.cut(m * k, end), b.cut(k * n, end), c.cut(m * n, end));
                        let of = |b_row_stride| (n, b_row_stride);
                        let (c_row_stride, b_row_stride) = of(n);
                        gemm(level, Gemm { m, n, k, a, a_strides, b, b_row_stride, c, c_row_stride, accumulate });
                        let b_row_stride = k;
                        gemm_nt(level, Gemm { m, n, k, a, a_strides, b, b_row_stride, c, c_row_stride, accumulate });
                    }
                }
            }
            transpose(level, [n, 17], a.cut(n * 17, end), 17, b.cut(n * 17, end), n);
            transpose(level, [7, n], a.cut(7 * n, end), n, b.cut(7 * n, end), 7);
        }
    });
}

#[test]
fn sorts_stay_inside_their_operands() {
    each(|level, end, [x, v, y, scratch, _]| {
        for size in (0..=9).chain([16, 17, 33, 64, 65]) {
            for (outer, stride) in SIZES.into_iter().flat_map(|n| [(n, 1), (2, n)]).chain([(0, 3), (3, 0)]) {
                let groups = Groups { outer, size, stride };
                let len = outer * size * stride;
                let (x, v, y) = (x.cut(len, end), v.cut(len, end), y.cut(len, end));
                let scratch = scratch.cut(groups.scratch(), end);
                group_sort(level, &groups, x, y, scratch);
                for direction in [Direction::Sorting, Direction::Back] {
                    group_permute(level, &groups, direction, x, v, y, scratch);
                }
            }
        }
    });
}

#[test]
fn windows_stay_inside_their_operands() {
    each(|level, end, [x, y, dy, dx, _]| {
        let shapes = [([2, 2], [2, 2]), ([3, 3], [1, 1]), ([3, 2], [2, 1]), ([2, 3], [1, 2]), ([1, 2], [3, 4])];
        for inner in SIZES.into_iter().chain([0, 4, 18]) {
            for (kernel, stride) in shapes {
                for (outer, h, w) in [(0, 3, 3), (1, 3, 3), (2, 5, 20), (1, 4, 35)] {
                    let windows = Windows { outer, h, w, inner, kernel, stride };
                    let pixels = outer * h * w * inner;
                    let pooled = outer * windows.count().into_iter().product::<usize>() * inner;
                    let (x, dx) = (x.cut(pixels, end), dx.cut(pixels, end));
                    let (y, dy) = (y.cut(pooled, end), dy.cut(pooled, end));
                    pool::sum(level, &windows, x, y);
                    pool::sum_grad(level, &windows, dy, dx);
                    pool::norm(level, &windows, x, y);
                    pool::norm_grad(level, &windows, x, y, dy, dx);
                    // Sums of squares that are formed again, and quotients that are no floats.
                    let tiny: Vec<f32> = x.iter().map(|x| x * 1e-25).collect();
                    let kept = x.to_vec();
                    x.copy_from_slice(&tiny);
                    pool::norm(level, &windows, x, y);
                    pool::norm_grad(level, &windows, x, y, dy, dx);
                    x.copy_from_slice(&kept);
                    if inner % 2 == 0 {
                        pool::sorted_norm(level, &windows, x, y);
                        pool::sorted_norm_grad(level, &windows, x, y, dy, dx);
                    }
                }
            }
        }
    });
}

#[test]
fn convolutions_stay_inside_their_operands() {
    let base = ConvShape {
        n: 2,
        h: 5,
        w: 9,
        cin: 3,
        cout: 8,
        kh: 3,
        kw: 3,
        stride: [1, 1],
        padding: [1, 1, 1, 1],
        dilation: [1, 1],
        groups: 1,
    };
    let mut shapes = Vec::new();
    for cin in [1, 2, 3, 8, 13, 17] {
        for cout in [1, 7, 8, 9, 16, 17, 33, 49] {
            let s = ConvShape { cin, cout, ..base };
            shapes.extend([s, ConvShape { padding: [0; 4], ..s }, ConvShape { w: 3, h: 1, ..s }]);
            shapes.push(ConvShape { kh: 1, kw: 1, padding: [0; 4], ..s });
            shapes.push(ConvShape { kw: 2, padding: [0, 1, 2, 0], ..s });
            shapes.push(ConvShape { kh: 2, kw: 5, w: 16, padding: [1, 2, 0, 2], ..s });
            shapes.push(ConvShape { kw: 5, w: 2, padding: [2, 4, 1, 4], ..s });
            shapes.push(ConvShape { stride: [2, 2], ..s });
            shapes.push(ConvShape { stride: [2, 1], w: 19, padding: [4, 2, 4, 2], ..s });
            shapes.push(ConvShape { dilation: [2, 1], ..s });
            shapes.push(ConvShape { dilation: [1, 2], stride: [3, 2], ..s });
            shapes.push(ConvShape { cin: 3 * cin, cout: 3 * cout, groups: 3, h: 3, ..s });
        }
    }
    each(|level, end, [x, w, y, bias, scratch]| {
        for s in &shapes {
            let (pixels, weights) = (s.n * s.h * s.w * s.cin, s.kh * s.kw * (s.cin / s.groups) * s.cout);
            let (x, w) = (x.cut(pixels, end), w.cut(weights, end));
            let y = y.cut(s.n * s.out_h() * s.out_w() * s.cout, end);
            let bias = bias.cut(s.cout, end);
            conv2d::forward(level, s, x, w, Some(bias), y, scratch.cut(conv2d::forward_scratch(s), end));
            conv2d::forward(level, s, x, w, None, y, scratch.cut(conv2d::forward_scratch(s), end));
            conv2d::weight_grad(level, s, x, y, w, scratch.cut(conv2d::weight_grad_scratch(s), end));
            conv2d::input_grad(level, s, y, w, x, scratch.cut(conv2d::input_grad_scratch(s), end));
            // Sums over sums would grow.
            w.copy_from_slice(&noise(6, weights));
            x.copy_from_slice(&noise(7, pixels));
        }
    });
}
