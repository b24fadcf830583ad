use super::*;
use crate::test_support::{Random, largest_singular_value};

/// The largest and the smallest one.
#[derive(Debug, PartialEq)]
struct Extremes {
    largest: f64,
    smallest: f64,
}

fn extremes(w: &[f32], rows: usize, cols: usize) -> Result<Extremes> {
    let found = singular_values(w, rows, cols, true)?;
    let of = |value: Option<&f64>| value.copied().unwrap_or(0.0);
    Ok(Extremes { largest: of(found.first()), smallest: of(found.last()) })
}

/// Walsh's transform of whole numbers, as many as a power of two.
fn walsh(mut values: Vec<f32>) -> Vec<f32> {
    let mut step = 1;
    while step < values.len() {
        for at in (0..values.len()).filter(|at| at & step == 0) {
            (values[at], values[at + step]) = (values[at] + values[at + step], values[at] - values[at + step]);
        }
        step *= 2;
    }
    values
}

/// H D H of Hadamard's matrix H of order n and these diagonals: whole numbers, all exact, and the singular values are n times those of D.
fn known(diagonal: &[f32]) -> Vec<f32> {
    let (n, transformed) = (diagonal.len(), walsh(diagonal.to_vec()));
    (0..n * n).map(|at| transformed[(at / n) ^ (at % n)]).collect()
}

fn transposed(w: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|at| w[at % rows * cols + at / rows]).collect()
}

/// Both ways round, which are of the same values.
fn assert_values(w: &[f32], rows: usize, cols: usize, largest: f64, smallest: f64) {
    for (w, rows, cols) in [(w.to_vec(), rows, cols), (transposed(w, rows, cols), cols, rows)] {
        let found = extremes(&w, rows, cols).unwrap();
        let allowed = 4e-15 * (rows.min(cols) as f64).sqrt() * largest;
        assert!((found.largest - largest).abs() <= allowed, "[{rows}, {cols}]: {found:?}, not {largest:e}");
        assert!((found.smallest - smallest).abs() <= allowed, "[{rows}, {cols}]: {found:?}, not {smallest:e}");
    }
}

#[test]
fn known_spectra_are_found() {
    assert_values(&[3.0], 1, 1, 3.0, 3.0);
    assert_values(&[-2.0, 0.0, 0.0, 0.0, 5.0, 0.0], 2, 3, 5.0, 2.0);
    assert_values(&[3.0, 0.0, 4.0, 0.0, 0.0, 5.0, 0.0, 12.0], 4, 2, 13.0, 5.0);
    for n in [2, 16, 64] {
        let diagonal: Vec<f32> =
            (0..n).map(|i| (3 + (i * 7) % n) as f32 * if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
        assert_values(&known(&diagonal), n, n, (n * (n + 2)) as f64, 3.0 * n as f64);
        // Twice below itself.
        let twice = known(&diagonal).repeat(2);
        let root = 2f64.sqrt();
        assert_values(&twice, 2 * n, n, root * (n * (n + 2)) as f64, root * 3.0 * n as f64);
    }
    // Of the second difference of n points: 4 sin²(k pi / (2 (n + 1))).
    let n = 40_usize;
    let second: Vec<f32> = (0..n * n)
        .map(|at| match (at / n).abs_diff(at % n) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        })
        .collect();
    let value = |k: usize| 4.0 * (k as f64 * std::f64::consts::PI / (2.0 * (n as f64 + 1.0))).sin().powi(2);
    assert_values(&second, n, n, value(n), value(1));
}

#[test]
fn small_singular_values_are_not_lost_in_the_squares_of_large_ones() {
    // A Gram matrix loses four digits more of a value that is a millionth of the largest.
    let mut diagonal = vec![16_384.0; 8];
    diagonal[5] = 1.0 / 64.0;
    let found = extremes(&known(&diagonal), 8, 8).unwrap();
    assert!((found.smallest / 0.125 - 1.0).abs() < 1e-8, "{found:?}");
    assert_values(&[1.0, 0.0, 0.0, 1e-30], 2, 2, 1.0, f64::from(1e-30_f32));
    let found = extremes(&[1.0, 0.0, 0.0, 1e-30], 2, 2).unwrap();
    assert!((found.smallest / f64::from(1e-30_f32) - 1.0).abs() < 1e-14, "{found:?}");
}

#[test]
fn what_has_no_full_rank_has_a_smallest_one_of_0() {
    let ones = [1.0; 12];
    assert_values(&ones, 3, 4, 12f64.sqrt(), 0.0);
    assert_values(&known(&[5.0, 0.0, -7.0, 0.0]), 4, 4, 28.0, 0.0);
    let zero = Extremes { largest: 0.0, smallest: 0.0 };
    assert_eq!(extremes(&[0.0; 6], 2, 3).unwrap(), zero);
    assert_eq!(extremes(&[], 0, 3).unwrap(), zero);
}

#[test]
fn a_row_has_its_length() {
    let row: Vec<f32> = (0..1000).map(|i| if i % 10 == 0 { 3.0 } else { 0.0 }).collect();
    assert_values(&row, 1, 1000, 30.0, 30.0);
    assert_values(&[0.0; 5], 1, 5, 0.0, 0.0);
}

#[test]
fn any_scale_is_as_good() {
    let mut random = Random::new(3);
    let w: Vec<f32> = (0..12 * 31).map(|_| random.number()).collect();
    let one = extremes(&w, 12, 31).unwrap();
    assert!((one.largest - largest_singular_value(&w, 12, 31).value()).abs() <= 1e-14 * one.largest);
    for power in [-125, -66, 66, 120] {
        let scale = 2f32.powi(power);
        let scaled: Vec<f32> = w.iter().map(|x| x * scale).collect();
        let found = extremes(&scaled, 12, 31).unwrap();
        let factor = f64::from(scale);
        assert_values(&scaled, 12, 31, one.largest * factor, one.smallest * factor);
        assert!((found.smallest / factor - one.smallest).abs() <= 1e-13 * one.smallest, "2^{power}: {found:?}");
    }
    for scale in [1e-45_f32, 1e-40, 1e-20, 1e20, 3e38] {
        let at: Vec<f32> = (0..9).map(|i| if i % 4 == 0 { scale } else { 0.0 }).collect();
        assert_values(&at, 3, 3, f64::from(scale), f64::from(scale));
    }
}

#[test]
fn a_layer_of_1024_takes_a_few_seconds_at_most() {
    let diagonal: Vec<f32> = (0..1024).map(|i| (1 + i) as f32).collect();
    let started = std::time::Instant::now();
    let found = extremes(&known(&diagonal), 1024, 1024).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!("{seconds:.2} s");
    assert!((found.largest - 1_048_576.0).abs() < 1e-6 && (found.smallest - 1024.0).abs() < 1e-6, "{found:?}");
    // One second on a machine that does nothing else.
    assert!(seconds < 20.0, "{seconds} s");
}

#[test]
fn what_is_no_finite_matrix_is_refused() {
    assert!(extremes(&[1.0; 5], 2, 3).unwrap_err().to_string().contains("[2, 3]"));
    let error = extremes(&[1.0, 2.0, f32::NAN, 4.0], 2, 2).unwrap_err();
    assert!(error.to_string().contains("row 1, column 0 is NaN"), "{error}");
}

#[test]
fn all_of_them_come_in_descending_order() {
    let found = singular_values(&known(&[5.0, 1.0, -7.0, 3.0]), 4, 4, false).unwrap();
    assert_eq!(found.len(), 4);
    for (value, right) in found.iter().zip([28.0, 20.0, 12.0, 4.0]) {
        assert!((value - right).abs() <= 1e-13, "{found:?}");
    }
    assert_eq!(singular_values(&[3.0, 4.0], 1, 2, true).unwrap().len(), 1);
}
