//! Products and transposition at every level against their definitions.
use tslip_cpu::kernels::gemm::{Gemm, gemm, gemm_nt};
use tslip_cpu::kernels::transpose::transpose;
use tslip_cpu::simd::Level;

mod common;
use common::noise;

/// Relative to the sum of magnitudes: sums of up to 1600 products with a rounding of 6e-8 each, which mostly cancel.
const TOLERANCE: f64 = 2e-6;
/// Marks what no kernel may touch.
const UNTOUCHED: f32 = 77.0;

/// Extents with a C that has gaps between its rows, from A of the given order.
fn check([m, n, k]: [usize; 3], by_columns: bool, transposed: bool, accumulate: bool) {
    let (a, b) = (noise(1, m * k), noise(2, k * n));
    let a_strides = if by_columns { (1, m) } else { (k, 1) };
    let b_strides = if transposed { (1, k) } else { (n, 1) };
    let c_row_stride = n + 3;
    for level in Level::available() {
        let before = if accumulate { 0.5 } else { f32::NAN };
        let mut c = vec![UNTOUCHED; m * c_row_stride];
        c.chunks_mut(c_row_stride).for_each(|row| row[..n].fill(before));
        let b_row_stride = if transposed { k } else { n };
        let g = Gemm { m, n, k, a: &a, a_strides, b: &b, b_row_stride, c: &mut c, c_row_stride, accumulate };
        if transposed {
            gemm_nt(level, g)
        } else {
            gemm(level, g)
        }
        for (i, row) in c.chunks(c_row_stride).enumerate() {
            for (j, &got) in row[..n].iter().enumerate() {
                let (mut want, mut magnitude) = (if accumulate { 0.5 } else { 0.0 }, 1.0);
                for t in 0..k {
                    let x = a[i * a_strides.0 + t * a_strides.1];
                    let product = f64::from(x) * f64::from(b[t * b_strides.0 + j * b_strides.1]);
                    (want, magnitude) = (want + product, magnitude + product.abs());
                }
                let wrong = (f64::from(got) - want).abs();
                assert!(wrong <= TOLERANCE * magnitude, "{level:?} {m}x{n}x{k} C[{i}, {j}] = {got}, not {want}");
            }
            assert!(row[n..].iter().all(|&v| v == UNTOUCHED), "{level:?} {m}x{n}x{k} wrote past row {i}");
        }
    }
}

#[test]
fn products_of_all_extents_and_orders_agree_with_the_definition() {
    let small = [0, 1, 2, 3, 7, 8, 15, 16, 17, 33];
    let mut shapes = vec![
        [117, 290, 270],
        [16, 64, 1568],
        [16, 10, 64],
        [5, 1568, 64],
        [64, 130, 64],
        [64, 64, 1568],
        [29, 47, 300],
        [1, 49, 513],
    ];
    shapes
        .extend(small.into_iter().flat_map(|m| small.into_iter().flat_map(move |n| [0, 1, 3, 18].map(|k| [m, n, k]))));
    for shape in shapes {
        for options in 0..8 {
            check(shape, options & 1 > 0, options & 2 > 0, options & 4 > 0);
        }
    }
}

#[test]
fn a_row_has_the_same_bits_however_many_are_computed_with_it() {
    let ([m, n, k], b) = ([45, 70, 700], noise(4, 700 * 70));
    let a = noise(3, m * k);
    let product = |level: Level, rows: std::ops::Range<usize>| {
        let (m, mut c) = (rows.len(), vec![0.0; rows.len() * n]);
        let (a, a_strides, accumulate) = (&a[rows.start * k..rows.end * k], (k, 1), false);
        gemm(level, Gemm { m, n, k, a, a_strides, b: &b, b_row_stride: n, c: &mut c, c_row_stride: n, accumulate });
        c.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    for level in Level::available() {
        let all = product(level, 0..m);
        assert_eq!(all, product(level, 0..m));
        for i in [0, 13, 44] {
            assert_eq!(all[i * n..(i + 1) * n], product(level, i..i + 1), "{level:?} row {i}");
        }
        assert_eq!(all[5 * n..12 * n], product(level, 5..12), "{level:?}");
    }
}

#[test]
fn nan_and_infinity_reach_the_entries_they_belong_to_and_no_others() {
    let [m, n, k] = [18, 35, 20];
    for (value, level) in
        [f32::NAN, f32::INFINITY].into_iter().flat_map(|v| Level::available().into_iter().map(move |l| (v, l)))
    {
        let (mut a, b, mut c) = (vec![1.0; m * k], vec![1.0; k * n], vec![0.0; m * n]);
        a[7 * k + 3] = value;
        let (a_strides, accumulate) = ((k, 1), false);
        gemm(level, Gemm { m, n, k, a: &a, a_strides, b: &b, b_row_stride: n, c: &mut c, c_row_stride: n, accumulate });
        for (i, &got) in c.iter().enumerate() {
            assert_eq!(got.is_finite(), i / n != 7, "{level:?} {value} at {i}: {got}");
        }
    }
}

#[test]
fn transposition_moves_every_entry_and_nothing_else() {
    for [rows, columns] in [[0, 3], [1, 1], [8, 8], [16, 16], [17, 40], [33, 15], [5, 64], [49, 31]] {
        let (from_stride, to_stride) = (columns + 2, rows + 1);
        let from = noise(9, rows * from_stride);
        for level in Level::available() {
            let mut to = vec![UNTOUCHED; columns * to_stride];
            transpose(level, [rows, columns], &from, from_stride, &mut to, to_stride);
            for (j, row) in to.chunks(to_stride).enumerate() {
                assert!(
                    (0..rows).all(|i| row[i] == from[i * from_stride + j]),
                    "{level:?} {rows}x{columns} column {j}"
                );
                assert_eq!(row[rows], UNTOUCHED, "{level:?} {rows}x{columns}");
            }
        }
    }
}
