//! Outward rounding: an operation of float64 is right to half a unit in the last place, so that the next number is a bound.

/// The unit roundoff of float64, 2^-53.
pub(crate) const UNIT: f64 = f64::EPSILON / 2.0;
/// The unit roundoff of float32, 2^-24.
pub(crate) const UNIT32: f64 = f32::EPSILON as f64 / 2.0;

/// Of numbers that are not negative: at least a + b.
pub(crate) fn add(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { a + b } else { (a + b).next_up() }
}

/// At least a b, and exact where a factor is 0 or 1.
pub(crate) fn mul(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 {
        0.0
    } else if a == 1.0 || b == 1.0 {
        a * b
    } else {
        (a * b).next_up()
    }
}

/// At least a / b.
pub(crate) fn div(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { (a / b).next_up() }
}

/// At least the root of a.
pub(crate) fn sqrt(a: f64) -> f64 {
    if a == 0.0 || a == 1.0 { a } else { a.sqrt().next_up() }
}

/// At least the root of a whole number.
pub(crate) fn sqrt_of(count: usize) -> f64 {
    let root = count.isqrt();
    if root * root == count { root as f64 } else { sqrt((count as f64).next_up()) }
}

/// At most a - b.
pub(crate) fn sub_down(a: f64, b: f64) -> f64 {
    if b == 0.0 { a } else { (a - b).next_down() }
}

/// At most a / b, and not negative.
pub(crate) fn div_down(a: f64, b: f64) -> f64 {
    if a <= 0.0 { 0.0 } else { (a / b).next_down().max(0.0) }
}

/// At least the root of the sum of squares.
pub(crate) fn norm(parts: &[f64]) -> f64 {
    let largest = parts.iter().fold(0.0, |most: f64, part| most.max(part.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return if parts.iter().any(|part| part.is_nan()) { f64::NAN } else { largest };
    }
    if let [_] = parts {
        return largest;
    }
    // In units of the largest, no square leaves the range; of n squares each rounds twice, their sum n times.
    let squares: f64 = parts.iter().map(|part| (part / largest) * (part / largest)).sum();
    mul(sqrt(mul(squares, add(1.0, 2.0 * gamma(parts.len().saturating_add(4), UNIT)))), largest)
}

/// At least gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, 2002, (3.1)); infinite where n u is not
/// below 1/2.
pub(crate) fn gamma(n: usize, unit: f64) -> f64 {
    let nu = n as f64 * unit;
    if nu < 0.5 { div(nu, (1.0 - nu).next_down()) } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_on_their_side_of_exact_results() {
        // In whole numbers below 2^53 sums, products and squares are exact in i128.
        for k in 1..2000_i128 {
            let (a, b) = (k * 4_503_599_627_371, (k * 7919) % 104_729 + 1);
            let (x, y) = (a as f64, b as f64);
            assert!(mul(x, y) as i128 >= a * b && add(x, y) as i128 >= a + b);
            assert!((sub_down(x, y) as i128) <= a - b);
            let scaled = (div_down(y, x) * 2f64.powi(90)) as i128;
            assert!(scaled * a <= b << 90);
            let root = (sqrt(y) * 2f64.powi(40)).ceil() as i128;
            assert!(root * root >= b << 80);
        }
        assert!(gamma(1000, UNIT) > 1000.0 * UNIT);
        assert_eq!(gamma(1 << 53, UNIT), f64::INFINITY);
        assert!(norm(&[3.0, 4.0]) >= 5.0 && norm(&[3.0, 4.0]) < 5.0 + 1e-13);
        assert_eq!(
            (norm(&[]), norm(&[-2.0]), sqrt_of(49), norm(&[f64::INFINITY, 1.0])),
            (0.0, 2.0, 7.0, f64::INFINITY)
        );
    }
}
