//! What the results of the self-test say of a device. Knows no device.
use super::operands::{Operands, Pair, RUN};

/// What was found. Errors are in units in the last place of the exact value, and infinite where a result is not near it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arithmetic {
    /// Whether sums, differences and products are the nearest floats, as bounds of rounding assume.
    pub exact: bool,
    /// Whether sums are formed in the order in which they are written, each product by itself or fused with its sum.
    pub ordered: bool,
    /// Whether what rounding takes off a sum or product can be computed (TwoSum, TwoProduct). A compiler that simplifies as with
    /// real numbers, as WGSL allows, makes it 0; bounds of rounding do not rest on it.
    pub residuals: bool,
    /// Whether `fma` rounds once.
    pub fused: bool,
    /// Largest error of a quotient.
    pub division_ulps: f64,
    /// Largest error of a square root.
    pub sqrt_ulps: f64,
    /// Largest error of the exponential function.
    pub exp_ulps: f64,
    /// Largest error of the natural logarithm.
    pub log_ulps: f64,
    /// Largest error of the hyperbolic tangent.
    pub tanh_ulps: f64,
    /// Largest error of the logistic function.
    pub sigmoid_ulps: f64,
    /// Largest error of the inverse hyperbolic tangent.
    pub atanh_ulps: f64,
    /// Largest error of a power.
    pub pow_ulps: f64,
    /// Whether subnormal numbers are kept; else they count as zero.
    pub subnormals: bool,
    /// Whether NaN and infinity are what they should be: infinity minus infinity is NaN, comparisons with NaN are false, relu and
    /// maximum keep it, and infinity is larger than all floats.
    pub nan: bool,
}

/// Words of the results of a pair.
pub const RESULTS: usize = 18;

/// All results.
pub struct Results {
    pub pairs: Vec<Found>,
    pub sums: Vec<f32>,
}

/// What a device has made of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    pub sum: f32,
    pub difference: f32,
    pub product: f32,
    /// fma(a, b, -1).
    pub fused: f32,
    /// (a + b) - b.
    pub cancelled: f32,
    /// What rounding takes off a + b and off a b, as [`sum_error`] and [`product_error`].
    pub sum_error: f32,
    pub product_error: f32,
    pub relu: f32,
    pub maximum: f32,
    /// As [`facts`] of a + b, a and b.
    pub facts: u32,
    pub quotient: f32,
    pub root: f32,
    pub exp: f32,
    pub log: f32,
    pub tanh: f32,
    pub sigmoid: f32,
    pub atanh: f32,
    pub power: f32,
}

impl Found {
    /// From [`RESULTS`] words of the kernel.
    pub fn of(words: &[f32]) -> Found {
        Found {
            sum: words[0],
            difference: words[1],
            product: words[2],
            fused: words[3],
            cancelled: words[4],
            sum_error: words[5],
            product_error: words[6],
            relu: words[7],
            maximum: words[8],
            facts: words[9].to_bits(),
            quotient: words[10],
            root: words[11],
            exp: words[12],
            log: words[13],
            tanh: words[14],
            sigmoid: words[15],
            atanh: words[16],
            power: words[17],
        }
    }
}

/// Relations of two floats and whether their sum is NaN, a bit each.
pub fn facts(sum: f32, a: f32, b: f32) -> u32 {
    let all = [sum.is_nan(), a < b, a <= b, a > b, a >= b, a == b];
    all.iter().rev().fold(0, |bits, &fact| bits << 1 | u32::from(fact))
}

/// Judges the results of a device.
pub fn judge(operands: &Operands, results: &Results) -> Arithmetic {
    let mut judged = Arithmetic {
        exact: true,
        ordered: true,
        residuals: true,
        fused: true,
        division_ulps: 0.0,
        sqrt_ulps: 0.0,
        exp_ulps: 0.0,
        log_ulps: 0.0,
        tanh_ulps: 0.0,
        sigmoid_ulps: 0.0,
        atanh_ulps: 0.0,
        pow_ulps: 0.0,
        subnormals: true,
        nan: true,
    };
    for (pair, found) in operands.pairs.iter().zip(&results.pairs) {
        judged.operations(pair, found);
        judged.functions(pair, found);
    }
    for (terms, &sum) in operands.sums.iter().zip(&results.sums) {
        let [least, most] = sums_of_products(terms);
        judged.ordered &= (least..=most).contains(&sum);
    }
    judged
}

impl Arithmetic {
    fn operations(&mut self, pair: &Pair, found: &Found) {
        let &Pair { a, b, .. } = pair;
        let (sum, product) = (a + b, a * b);
        if [a, b].iter().any(|v| v.is_subnormal()) {
            self.subnormals &= same(found.sum, sum);
            return;
        }
        self.exact &= near(found.sum, sum) && near(found.difference, a - b) && near(found.product, product);
        self.fused &= near(found.fused, a.mul_add(b, -1.0));
        if moderate(a) && moderate(b) {
            self.residuals &= found.cancelled == sum - b && found.sum_error == sum_error(a, b);
            if moderate(product) {
                self.residuals &= found.product_error == product_error(a, b, product);
            }
        }
        self.nan &= found.facts == facts(sum, a, b)
            && same(found.relu, if a <= 0.0 { 0.0 } else { a })
            && same(found.maximum, if a > b || a.is_nan() { a } else { b });
        raise(&mut self.division_ulps, found.quotient, f64::from(a) / f64::from(b));
        raise(&mut self.sqrt_ulps, found.root, f64::from(a).sqrt());
    }

    fn functions(&mut self, pair: &Pair, found: &Found) {
        let x = f64::from(pair.x);
        raise(&mut self.exp_ulps, found.exp, x.exp());
        raise(&mut self.log_ulps, found.log, x.ln());
        raise(&mut self.tanh_ulps, found.tanh, x.tanh());
        raise(&mut self.sigmoid_ulps, found.sigmoid, 1.0 / (1.0 + (-x).exp()));
        raise(&mut self.atanh_ulps, found.atanh, x.atanh());
        raise(&mut self.pow_ulps, found.power, f64::from(pair.base).powf(f64::from(pair.exponent)));
    }
}

fn same(got: f32, want: f32) -> bool {
    got == want || (got.is_nan() && want.is_nan())
}

/// The same, or lost as all subnormal numbers may be.
fn near(got: f32, want: f32) -> bool {
    same(got, want) || (want.abs() < f32::MIN_POSITIVE && got.abs() <= f32::MIN_POSITIVE)
}

/// Whether neither roundings nor products of such floats are subnormal or infinite.
fn moderate(x: f32) -> bool {
    (1e-15..1e15).contains(&x.abs())
}

/// The largest error so far and that of another result.
fn raise(most: &mut f64, got: f32, exact: f64) {
    *most = most.max(ulps(got, exact));
}

/// Distance to the exact value, in units of the last place there; infinite where one is NaN or infinite and the other is not.
fn ulps(got: f32, exact: f64) -> f64 {
    if near(got, exact as f32) && !(exact as f32).is_normal() {
        return 0.0;
    }
    let exponent = (exact.abs().to_bits() >> 52).max(1023 - 126);
    let error = (f64::from(got) - exact).abs() / f64::from_bits((exponent - 23) << 52);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// What rounding takes off a + b, by Knuth's TwoSum.
pub fn sum_error(a: f32, b: f32) -> f32 {
    let sum = a + b;
    let of_b = sum - a;
    (a - (sum - of_b)) + (b - of_b)
}

/// a b less its rounded value, by Dekker's TwoProduct.
pub fn product_error(a: f32, b: f32, product: f32) -> f32 {
    let leading = |x: f32| f32::from_bits(x.to_bits() & 0xffff_f000);
    let (a_high, b_high) = (leading(a), leading(b));
    let (a_low, b_low) = (a - a_high, b - b_high);
    (((a_high * b_high - product) + a_high * b_low) + a_low * b_high) + a_low * b_low
}

/// The least and the largest float32 sum of products in runs, where each product may be fused with the sum or not: both are
/// monotone in the sum so far. Every such sum has the error of at most as many roundings as it has terms and runs.
pub fn sums_of_products(terms: &[[f32; 2]]) -> [f32; 2] {
    let runs = terms.chunks(RUN).map(|run| {
        run.iter().fold([0.0_f32; 2], |[least, most], &[a, b]| {
            [a.mul_add(b, least).min(least + a * b), a.mul_add(b, most).max(most + a * b)]
        })
    });
    runs.fold([0.0; 2], |[least, most], part| [least + part[0], most + part[1]])
}
