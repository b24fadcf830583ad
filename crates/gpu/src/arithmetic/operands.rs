//! What the self-test is run on: borders of the format, then floats of all sizes, the same each time.

/// Random pairs beside the chosen ones.
const PAIRS: usize = 4096;
/// Words of a pair.
pub const WORDS: usize = 6;
/// Sums of products.
const SUMS: usize = 64;
/// Products of a run, and runs of a sum.
pub const RUN: usize = 128;
pub const RUNS: usize = 2;

pub struct Operands {
    pub pairs: Vec<Pair>,
    /// The factors of sums.
    pub sums: Vec<Vec<[f32; 2]>>,
}

/// Operands of each operation once.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub a: f32,
    pub b: f32,
    /// Of functions of one operand.
    pub x: f32,
    pub base: f32,
    pub exponent: f32,
}

impl Pair {
    /// As the kernel reads them: the product of a and b is one that the device cannot fuse.
    pub fn words(&self) -> [f32; WORDS] {
        [self.a, self.b, self.a * self.b, self.x, self.base, self.exponent]
    }
}

impl Operands {
    pub fn new() -> Operands {
        let mut random = Random(1);
        let borders =
            [0.0, -0.0, 1.0, -1.0, 1.0 + f32::EPSILON, 1.0 - f32::EPSILON / 2.0, f32::MAX, f32::MIN_POSITIVE, 1e-40];
        let wild = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        let chosen: Vec<f32> = borders.into_iter().chain(wild).collect();
        let mut pairs: Vec<Pair> = chosen
            .iter()
            .flat_map(|&a| chosen.iter().map(move |&b| Pair { a, b, x: a, base: a, exponent: b }))
            .collect();
        pairs.extend((0..PAIRS).map(|i| random.pair(i)));
        let sums = (0..SUMS).map(|i| if i % 2 == 0 { random.terms() } else { random.absorbed_terms() }).collect();
        Operands { pairs, sums }
    }
}

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }

    /// A float of either sign with one of so many exponents around that of 1.
    fn float(&mut self, exponents: u32) -> f32 {
        let bits = self.bits();
        let exponent = 127 - exponents / 2 + (bits >> 32) as u32 % exponents;
        f32::from_bits((bits as u32 & 0x807f_ffff) | exponent << 23)
    }

    /// Evenly from `low` to `high`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.bits() & 0xff_ffff) as f32 / 16_777_216.0)
    }

    fn pair(&mut self, i: usize) -> Pair {
        // Neighbours in size, where sums round, and floats of any size.
        let exponents = if i.is_multiple_of(2) { 24 } else { 120 };
        let (a, b) = (self.float(exponents), self.float(exponents));
        let x = match i % 4 {
            0 => self.float(16),
            1 => self.between(-1.0, 1.0),
            2 => 1.0 + self.between(-1.0, 1.0) * self.float(24).abs().min(1.0),
            _ => self.between(-90.0, 90.0),
        };
        // Powers of every size that are neither infinite nor subnormal.
        let base = if i.is_multiple_of(2) { self.float(200).abs() } else { 1.0 + self.float(40).abs().min(0.5) };
        let size = f64::from(self.between(-125.0, 125.0));
        let exponent = if base == 1.0 { size } else { size / f64::from(base).log2() } as f32;
        Pair { a, b, x, base, exponent }
    }

    fn terms(&mut self) -> Vec<[f32; 2]> {
        (0..RUNS * RUN).map(|_| [self.float(8), self.float(8)]).collect()
    }

    /// Runs in which the first term absorbs all others until the last one takes it away: 0 in this order and in no other.
    fn absorbed_terms(&mut self) -> Vec<[f32; 2]> {
        let mut terms: Vec<[f32; 2]> =
            (0..RUNS * RUN).map(|_| [self.between(0.75, 0.95), self.between(0.75, 0.95)]).collect();
        for run in terms.chunks_exact_mut(RUN) {
            run[0] = [4096.0, 4096.0];
            run[RUN - 1] = [4096.0, -4096.0];
        }
        terms
    }
}
