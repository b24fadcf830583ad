//! Outward rounding: f64 operations are correct to half a unit, so one step to the neighbour makes each a bound.

/// The unit roundoff of float64, 2^-53.
pub(crate) const UNIT: f64 = f64::EPSILON / 2.0;

/// An upper bound of gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, 2002, (3.1)).
///
/// Infinite where n u >= 1/2: no claim is made for sums that long.
pub(crate) fn gamma(n: usize) -> f64 {
    gamma_of(n, UNIT)
}

/// The same for arithmetic of another unit roundoff, a power of two.
pub(crate) fn gamma_of(n: usize, unit: f64) -> f64 {
    let nu = n as f64 * unit;
    if nu < 0.5 { div_up(nu, (1.0 - nu).next_down()) } else { f64::INFINITY }
}

/// At least a + b.
pub(crate) fn add_up(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { a + b } else { (a + b).next_up() }
}

/// At most a - b.
pub(crate) fn sub_down(a: f64, b: f64) -> f64 {
    if a == b || b == 0.0 { a - b } else { (a - b).next_down() }
}

/// At least a b; exact where a factor is 0 or 1, so that a chain of 1-Lipschitz layers stays at 1.
pub(crate) fn mul_up(a: f64, b: f64) -> f64 {
    match (a, b) {
        (0.0, _) | (_, 0.0) => 0.0,
        (1.0, other) | (other, 1.0) => other,
        _ => (a * b).next_up(),
    }
}

/// At least a / b for a >= 0, b > 0.
pub(crate) fn div_up(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { (a / b).next_up() }
}

/// At most a / b for a >= 0, b > 0.
pub(crate) fn div_down(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { (a / b).next_down().max(0.0) }
}

/// At least the square root of a >= 0.
pub(crate) fn sqrt_up(a: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a.sqrt().next_up() }
}

/// At least the root of the sum of squares; exact for one number.
pub(crate) fn norm_up(parts: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = parts.clone().fold(0.0, f64::max);
    if parts.clone().any(f64::is_nan) {
        return f64::NAN;
    }
    if parts.clone().count() <= 1 || largest.is_infinite() || largest == 0.0 {
        return largest;
    }
    // Scaled by the largest, so that no square leaves the range; a square that underflows is rounded up too.
    let squares = parts.fold(0.0, |sum, part| {
        let share = div_up(part, largest);
        add_up(sum, (share * share).next_up())
    });
    mul_up(sqrt_up(squares), largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Random;

    /// x 2^shift, which has to be an integer.
    fn integer(x: f64, shift: u32) -> i128 {
        let scaled = x * 2f64.powi(shift as i32);
        assert!(scaled == scaled.trunc() && scaled.abs() < 2f64.powi(120), "{x} is no multiple of 2^-{shift}");
        scaled as i128
    }

    /// Whole numbers below 2^bits.
    fn wholes(random: &mut Random, bits: u32) -> f64 {
        (random.bits() >> (64 - bits)) as f64
    }

    /// Rounds of random operands; half of all sums and quotients round the wrong way without a step.
    const ROUNDS: usize = 2000;

    #[test]
    fn sums_are_never_below_and_differences_never_above_the_exact_ones() {
        let mut random = Random::new(1);
        for _ in 0..ROUNDS {
            let (a, b) = (wholes(&mut random, 53), wholes(&mut random, 53) * 2f64.powi(-40));
            let (exact_sum, exact_difference) = (integer(a, 40) + integer(b, 40), integer(a, 40) - integer(b, 40));
            assert!(integer(add_up(a, b), 40) >= exact_sum, "{a} + {b}");
            assert!(integer(sub_down(a, b), 40) <= exact_difference, "{a} - {b}");
        }
    }

    #[test]
    fn products_are_never_below_the_exact_ones() {
        let mut random = Random::new(2);
        for _ in 0..ROUNDS {
            let (a, b) = (wholes(&mut random, 53), wholes(&mut random, 53));
            assert!(integer(mul_up(a, b), 0) >= integer(a, 0) * integer(b, 0), "{a} {b}");
        }
    }

    #[test]
    fn quotients_times_their_divisors_stay_on_their_side_of_the_dividend() {
        let mut random = Random::new(3);
        for _ in 0..ROUNDS {
            let (a, b) = (wholes(&mut random, 40) + 2f64.powi(40), wholes(&mut random, 40) + 1.0);
            // A quotient above 1 has its last bit at 2^-52 or above it.
            assert!(integer(div_down(a, b), 52) * integer(b, 0) <= integer(a, 52), "{a} / {b} from below");
            assert!(integer(div_up(a, b), 52) * integer(b, 0) >= integer(a, 52), "{a} / {b} from above");
        }
    }

    #[test]
    fn roots_squared_are_never_below_the_number() {
        let mut random = Random::new(4);
        for _ in 0..ROUNDS {
            let a = wholes(&mut random, 50) + 1.0;
            // A root above 1 has its last bit at 2^-52 or above it; of a below 2^50 its square is below 2^155.
            let root = sqrt_up(a) * 2f64.powi(27);
            let above = root.ceil() as i128;
            assert!(above * above >= integer(a, 54), "{a}");
        }
    }

    #[test]
    fn gamma_is_above_its_formula_and_claims_nothing_for_endless_sums() {
        for n in [1, 3, 1000, 1 << 30] {
            // n u / (1 - n u) > n u + (n u)².
            let nu = n as f64 * UNIT;
            assert!(gamma(n) > nu && gamma(n) - nu >= nu * nu, "{n}");
        }
        assert_eq!(gamma(1 << 53), f64::INFINITY);
    }
}
