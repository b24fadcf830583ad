//! exp, log, tanh and the logistic function of f32 without branches, so that loops over them become vectors.
//!
//! Only additions, multiplications, divisions and selections, none of them fused: the same bits with every instruction
//! set, at every place of a slice and on every system. Ranges are reduced by splitting ln 2 (Cody and Waite, 1980); the
//! coefficients are those of S. Moshier's Cephes library.
#![expect(clippy::excessive_precision, reason = "constants are written as published")]

/// log2 e, and ln 2 as a few high bits and the rest: products of the high part by small integers are exact.
const LOG2_E: f32 = std::f32::consts::LOG2_E;
const LN2_HIGH: f32 = 0.693_359_375;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Added to a float below 2^22 it leaves the nearest integer in the lowest bits.
const TO_INTEGER: f32 = 12_582_912.0;
/// Below and above, e^x is 0 and infinite in f32.
const EXP_RANGE: [f32; 2] = [-104.0, 89.0];

/// A polynomial by Horner's rule, the highest coefficient first.
macro_rules! polynomial {
    ($x:expr; $first:expr $(, $next:expr)*) => {{
        let y = $first;
        $(let y = y * $x + $next;)*
        y
    }};
}

/// 2^n for n from -126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// e^x within 1.5 units in the last place, subnormal results within one of the smallest; NaN for NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x < EXP_RANGE[0] { EXP_RANGE[0] } else { x };
    let x = if x > EXP_RANGE[1] { EXP_RANGE[1] } else { x };
    let shifted = x * LOG2_E + TO_INTEGER;
    let n = shifted.to_bits().wrapping_sub(TO_INTEGER.to_bits()) as i32;
    let whole = shifted - TO_INTEGER;
    let r = x - whole * LN2_HIGH - whole * LN2_LOW;
    let p = polynomial!(r; 1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1);
    let y = p * (r * r) + r + 1.0;
    // In two steps: n may lie beyond what one exponent holds. NaN has made n any number: it is brought into range.
    let n = if x.is_nan() { 0 } else { n };
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n - half)
}

/// The natural logarithm within 2 units in the last place; -infinity at 0, NaN below and for NaN.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    // Subnormal numbers are brought among the others first.
    let small = x < f32::MIN_POSITIVE;
    let scaled = if small { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits();
    // x = m 2^e with m from sqrt(1/2) to sqrt(2).
    let from_root = bits.wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let e = (from_root as i32) >> 23;
    let m = f32::from_bits(bits.wrapping_sub((e << 23) as u32));
    let e = e as f32 - if small { 23.0 } else { 0.0 };
    let r = m - 1.0;
    let z = r * r;
    let p = polynomial!(
        r;
        7.037_683_6e-2, -1.151_461e-1, 1.167_699_9e-1, -1.242_014_1e-1, 1.424_932_3e-1, -1.666_805_8e-1,
        2.000_071_5e-1, -2.499_999_4e-1, 3.333_333_1e-1
    );
    let y = p * r * z + e * LN2_LOW - 0.5 * z;
    let y = r + y + e * LN2_HIGH;
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 || x.is_nan() { f32::NAN } else { y }
}

/// The hyperbolic tangent within 3 units in the last place; NaN for NaN.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let z = x * x;
    let p = polynomial!(z; -5.704_988_7e-3, 2.063_908_9e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328_2e-1);
    let near = p * z * x + x;
    let size = x.abs();
    let far = 1.0 - 2.0 / (exp(size + size) + 1.0);
    (if size < 0.625 { near } else { far }).copysign(x)
}

/// 1 / (1 + e^-x) within 3 units in the last place; NaN for NaN.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    // Of e^x and e^-x the one that does not overflow.
    let e = exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::atanh::Atanh;
    use crate::elementwise::exp::Exp;
    use crate::elementwise::log::Log;
    use crate::elementwise::reciprocal::Reciprocal;
    use crate::elementwise::sigmoid::Sigmoid;
    use crate::elementwise::sqrt::Sqrt;
    use crate::elementwise::tanh::Tanh;
    use crate::elementwise::unary::Function;
    use tslip_graph::Accuracy;

    /// The units in the last place that an op says it keeps within.
    fn declared<F: Function>() -> f64 {
        match F::ACCURACY {
            Accuracy::Function(_, ulps) => ulps,
            other => panic!("{} declares {other:?}", F::NAME),
        }
    }

    /// From one bit pattern to the next: a prime, so that all exponents and all low bits occur. Four million floats.
    const STRIDE: usize = 1009;

    /// The largest error over floats of every sign and size, in units in the last place of the exact value; where that is
    /// below the smallest normal number, in units of the last place there.
    fn largest_error(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (f64, f32) {
        let mut worst = (0.0, 0.0);
        for bits in (0..=u32::MAX).step_by(STRIDE) {
            let x = f32::from_bits(bits);
            let (got, want) = (f(x), exact(f64::from(x)));
            if (want as f32).is_infinite() || want.is_nan() {
                assert!(got.to_bits() == (want as f32).to_bits() || (got.is_nan() && want.is_nan()), "{x:e}: {got:e}");
                continue;
            }
            let size = (want.abs() as f32).max(f32::MIN_POSITIVE);
            let unit = f64::from(f32::from_bits(size.to_bits() + 1)) - f64::from(size);
            let error = (f64::from(got) - want).abs() / unit;
            assert!(error.is_finite(), "{x:e}: {got:e} instead of {want:e}");
            if error > worst.0 {
                worst = (error, x);
            }
        }
        worst
    }

    #[test]
    fn functions_are_exact_to_a_few_units_in_the_last_place_for_floats_of_every_size() {
        let cases = [
            ("exp", largest_error(exp, f64::exp), declared::<Exp>()),
            ("log", largest_error(log, f64::ln), declared::<Log>()),
            ("tanh", largest_error(tanh, f64::tanh), declared::<Tanh>()),
            ("atanh", largest_error(Atanh::f32, |x| x.abs().atanh().copysign(x)), declared::<Atanh>()),
            ("sigmoid", largest_error(sigmoid, |x| 1.0 / (1.0 + (-x).exp())), declared::<Sigmoid>()),
            ("sqrt", largest_error(Sqrt::f32, f64::sqrt), declared::<Sqrt>()),
            ("reciprocal", largest_error(Reciprocal::f32, f64::recip), declared::<Reciprocal>()),
        ];
        for (name, (error, at), most) in cases {
            // What is declared is what certificates count; far above the truth it would understate a GPU's error.
            assert!(error > most / 4.0, "{name} declares {most} units and is off by {error:.3}");
            assert!(error <= most, "{name}({at:e}) is off by {error:.3} units in the last place");
        }
    }

    #[test]
    fn powers_are_exact_to_a_unit_in_the_last_place_whatever_their_size() {
        for i in 0..1_000_000_u32 {
            let base = f32::from_bits(f32::MIN_POSITIVE.to_bits() + i * 2129);
            let size = f64::from(i % 2501) / 10.0 - 125.0;
            let exponent = (size / f64::from(base).log2()) as f32;
            let exact = f64::from(base).powf(f64::from(exponent));
            if !(exact as f32).is_normal() {
                continue;
            }
            let error = (f64::from(base.powf(exponent)) / exact - 1.0).abs();
            assert!(error <= f64::from(f32::EPSILON) / 2.0 * 1.01, "{base:e}^{exponent:e} is off by {error:e} of it");
        }
    }

    #[test]
    fn borders_and_signs_are_those_of_the_functions() {
        for (x, y) in
            [(0.0, 1.0), (-0.0, 1.0), (f32::INFINITY, f32::INFINITY), (f32::NEG_INFINITY, 0.0), (200.0, f32::INFINITY)]
        {
            assert_eq!(exp(x), y, "exp {x}");
        }
        for (x, y) in [(1.0, 0.0), (0.0, f32::NEG_INFINITY), (-0.0, f32::NEG_INFINITY), (f32::INFINITY, f32::INFINITY)]
        {
            assert_eq!(log(x), y, "log {x}");
        }
        assert!(log(-1.0).is_nan() && log(f32::NEG_INFINITY).is_nan());
        for (x, y) in [(f32::INFINITY, 1.0), (f32::NEG_INFINITY, -1.0), (0.0, 0.0), (-0.0, -0.0_f32)] {
            assert_eq!(tanh(x).to_bits(), y.to_bits(), "tanh {x}");
        }
        for f in [exp, log, tanh, sigmoid] {
            assert!(f(f32::NAN).is_nan());
        }
        assert_eq!([sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY), sigmoid(0.0)], [1.0, 0.0, 0.5]);
    }
}
