//! The self-test on devices that do not exist, and on one that does.
use super::judge::{Found, Results, facts, judge, product_error, sum_error, sums_of_products};
use super::operands::{Operands, Pair, RUN};
use super::*;
// The registry is above the self-test; only its tests look up there.
use crate::registry::{OpenDevice, open};

/// A device as its faults make it.
#[derive(Clone, Copy)]
struct Machine {
    /// What becomes of operands and results.
    number: fn(f32) -> f32,
    divide: fn(f32, f32) -> f32,
    sqrt: fn(f32) -> f32,
    fused: bool,
    /// Whether a + b - b is a.
    simplifies: bool,
    /// Whether sums are formed in four parts.
    reorders: bool,
    /// Whether it takes no number for NaN.
    without_nan: bool,
}

const IDEAL: Machine = Machine {
    number: |x| x,
    divide: |a, b| a / b,
    sqrt: f32::sqrt,
    fused: true,
    simplifies: false,
    reorders: false,
    without_nan: false,
};

impl Machine {
    fn found(&self, pair: &Pair) -> Found {
        let n = self.number;
        let (a, b, x) = (n(pair.a), n(pair.b), f64::from(pair.x));
        let sum = n(a + b);
        let unordered = self.without_nan && (a.is_nan() || b.is_nan());
        Found {
            sum,
            difference: n(a - b),
            product: n(a * b),
            fused: n(if self.fused { a.mul_add(b, -1.0) } else { a * b - 1.0 }),
            cancelled: if self.simplifies { a } else { n(sum - b) },
            sum_error: if self.simplifies { 0.0 } else { sum_error(a, b) },
            product_error: product_error(a, b, pair.a * pair.b),
            relu: if a <= 0.0 || (self.without_nan && a.is_nan()) { 0.0 } else { a },
            maximum: if a > b || a.is_nan() { a } else { b },
            facts: if unordered { 0b100 } else { facts(sum, a, b) },
            quotient: n((self.divide)(a, b)),
            root: n((self.sqrt)(a)),
            exp: n(x.exp() as f32),
            log: n(x.ln() as f32),
            tanh: n(x.tanh() as f32),
            sigmoid: n((1.0 / (1.0 + (-x).exp())) as f32),
            atanh: n(x.atanh() as f32),
            power: n(f64::from(pair.base).powf(f64::from(pair.exponent)) as f32),
        }
    }

    fn sum(&self, terms: &[[f32; 2]]) -> f32 {
        let add = |sum: f32, &[a, b]: &[f32; 2]| if self.fused { a.mul_add(b, sum) } else { sum + a * b };
        let run = |terms: &[[f32; 2]]| {
            let parts = if self.reorders { 4 } else { 1 };
            (0..parts).map(|first| terms.iter().skip(first).step_by(parts).fold(0.0, add)).sum::<f32>()
        };
        terms.chunks(RUN).map(run).sum()
    }

    fn judged(&self) -> Arithmetic {
        let operands = Operands::new();
        let pairs = operands.pairs.iter().map(|pair| self.found(pair)).collect();
        let sums = operands.sums.iter().map(|terms| self.sum(terms)).collect();
        judge(&operands, &Results { pairs, sums })
    }
}

/// What is found of a machine whose functions are those of float64, rounded.
fn of(machine: Machine) -> Arithmetic {
    let found = machine.judged();
    let functions =
        [found.exp_ulps, found.log_ulps, found.tanh_ulps, found.sigmoid_ulps, found.atanh_ulps, found.pow_ulps];
    assert!(functions.iter().all(|ulps| (0.49..=0.5).contains(ulps)), "{found:?}");
    found
}

#[test]
fn a_device_that_does_all_that_ieee_754_asks_for_has_no_fault() {
    let found = of(IDEAL);
    assert!(found.exact && found.ordered && found.residuals && found.fused, "{found:?}");
    assert!(found.subnormals && found.nan, "{found:?}");
    assert!(found.division_ulps <= 0.5 && found.sqrt_ulps <= 0.5, "{found:?}");
}

#[test]
fn products_that_are_not_fused_with_sums_are_told_and_are_no_fault() {
    let found = of(Machine { fused: false, ..IDEAL });
    assert!(!found.fused && found.exact && found.ordered && found.nan, "{found:?}");
}

#[test]
fn subnormal_numbers_that_count_as_zero_are_told_and_are_no_fault() {
    let flush = |x: f32| if x.is_subnormal() { 0.0_f32.copysign(x) } else { x };
    let found = of(Machine { number: flush, ..IDEAL });
    assert!(!found.subnormals && found.exact && found.ordered && found.fused && found.nan, "{found:?}");
    assert!(found.division_ulps <= 0.5 && found.sqrt_ulps <= 0.5, "{found:?}");
}

/// The float next to it towards zero.
fn cut(exact: f64) -> f32 {
    let nearest = exact as f32;
    let above = nearest.is_finite() && f64::from(nearest).abs() > exact.abs();
    if above { f32::from_bits(nearest.to_bits() - 1) } else { nearest }
}

#[test]
fn quotients_and_roots_that_are_cut_off_are_measured() {
    let found =
        of(Machine { divide: |a, b| cut(f64::from(a) / f64::from(b)), sqrt: |a| cut(f64::from(a).sqrt()), ..IDEAL });
    assert!((0.95..1.0).contains(&found.division_ulps) && (0.95..1.0).contains(&found.sqrt_ulps), "{found:?}");
}

#[test]
fn sums_that_are_cut_off_are_not_exact() {
    let found = Machine { number: |x| f32::from_bits(x.to_bits() & !1), ..IDEAL }.judged();
    assert!(!found.exact, "{found:?}");
}

#[test]
fn reordered_sums_are_seen_where_single_operations_are_exact() {
    let found = of(Machine { reorders: true, ..IDEAL });
    assert!(found.exact && found.residuals && !found.ordered, "{found:?}");
}

#[test]
fn sums_that_are_simplified_as_those_of_real_numbers_are_seen() {
    let found = of(Machine { simplifies: true, ..IDEAL });
    assert!(found.exact && found.ordered && !found.residuals, "{found:?}");
}

#[test]
fn a_product_may_be_fused_or_not_at_each_term_but_no_term_may_be_lost() {
    for terms in Operands::new().sums {
        let [least, most] = sums_of_products(&terms);
        let mixed = terms.chunks(RUN).map(|run| {
            let add = |sum: f32, (k, &[a, b]): (usize, &[f32; 2])| {
                if k.is_multiple_of(3) { a.mul_add(b, sum) } else { sum + a * b }
            };
            run.iter().enumerate().fold(0.0, add)
        });
        assert!((least..=most).contains(&mixed.sum::<f32>()));
        let without_last = IDEAL.sum(&terms[..terms.len() - 1]);
        assert!(!(least..=most).contains(&without_last), "{without_last} is not between {least} and {most}");
    }
}

#[test]
fn a_device_that_assumes_that_there_is_no_nan_is_seen() {
    let found = of(Machine { without_nan: true, ..IDEAL });
    assert!(found.exact && found.ordered && !found.nan, "{found:?}");
}

#[test]
fn a_result_that_is_no_number_is_an_infinite_error() {
    let found = of(Machine { divide: |_, _| f32::NAN, ..IDEAL });
    assert_eq!(found.division_ulps, f64::INFINITY);
}

/// Set where the absence of a GPU is a failure.
const REQUIRE: &str = "TSLIP_REQUIRE_GPU";

fn device() -> Option<OpenDevice> {
    match open(0) {
        Ok(opened) => Some(opened),
        Err(error) if std::env::var_os(REQUIRE).is_none_or(|v| v.is_empty() || v == "0") => {
            eprintln!("skipped, as there is no GPU: {error}. {REQUIRE}=1 makes this a failure");
            None
        }
        Err(error) => panic!("{REQUIRE} is set: {error}"),
    }
}

#[test]
fn functions_on_a_gpu_are_no_less_exact_than_on_the_cpu() {
    let Some(OpenDevice { arithmetic: found, .. }) = device() else { return };
    assert!(found.exact && found.ordered && found.nan, "{found:?}");
    assert!(found.division_ulps <= 0.5 && found.sqrt_ulps <= 0.5, "{found:?}");
    assert!(found.exp_ulps <= 1.5 && found.log_ulps <= 2.0 && found.pow_ulps <= 1.0, "{found:?}");
    assert!(found.tanh_ulps <= 3.0 && found.sigmoid_ulps <= 3.0 && found.atanh_ulps <= 3.0, "{found:?}");
}

#[test]
fn quotients_and_roots_on_a_gpu_are_the_nearest_floats_however_inexact_its_own_are() {
    let Some(OpenDevice { device, .. }) = device() else { return };
    let operands = Operands::new();
    for error in ["8388612.0", "8388604.0", "8388622.0", "8388594.0"] {
        let inexact = EXACT
            .replace("/ divisor * 8388608.0", &format!("/ divisor * {error}"))
            .replace("sqrt(f32(n) * 8388608.0)", &format!("(sqrt(f32(n) * 8388608.0) * ({error} / 8388608.0))"));
        assert_eq!(inexact.matches(error).count(), 2);
        let kernel = Kernel::new("inexact", include_str!("arithmetic.wgsl")).with(MATH);
        let text = format!("{}\n{inexact}", wgsl::module(&kernel));
        let found = judge(&operands, &run(&device, &operands, text).unwrap());
        assert!(found.division_ulps <= 0.5 && found.sqrt_ulps <= 0.5, "{error}: {found:?}");
    }
}
