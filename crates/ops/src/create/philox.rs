//! Philox 4x32 with 10 rounds, a counter-based generator (Salmon, Moraes, Dror and Shaw 2011): number i of a seed needs
//! none of the numbers before it.

/// Four random words for a counter and a key.
pub fn philox([mut a, mut b, mut c, mut d]: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let (p, q) = (u64::from(a) * 0xd251_1f53, u64::from(c) * 0xcd9e_8d57);
        [a, b, c, d] = [(q >> 32) as u32 ^ b ^ key[0], q as u32, (p >> 32) as u32 ^ d ^ key[1], p as u32];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    [a, b, c, d]
}

/// Uniform and normal numbers use different words of a seed.
const UNIFORM: u32 = 0;
const NORMAL: u32 = 1;
/// So do those that depend on a step too.
const UNIFORM_AT: u32 = 2;
const NORMAL_AT: u32 = 3;

/// The words from which elements `4 block .. 4 block + 4` are made.
fn words(block: u64, stream: u32, step: u32, seed: [u32; 2]) -> [u32; 4] {
    philox([block as u32, (block >> 32) as u32, stream, step], seed)
}

/// Elements `4 block .. 4 block + 4`, uniform in [0, 1): multiples of 2^-24, exact in f32.
pub fn uniform(block: u64, seed: [u32; 2]) -> [f64; 4] {
    words(block, UNIFORM, 0, seed).map(|word| f64::from(word >> 8) / f64::from(1 << 24))
}

/// The same for a step.
pub fn uniform_at(block: u64, step: u32, seed: [u32; 2]) -> [f64; 4] {
    words(block, UNIFORM_AT, step, seed).map(|word| f64::from(word >> 8) / f64::from(1 << 24))
}

/// Elements `4 block .. 4 block + 4`, normal with mean 0 and variance 1 (Box and Muller 1958), in magnitude below 6.7.
pub fn normal(block: u64, seed: [u32; 2]) -> [f64; 4] {
    normal_of(words(block, NORMAL, 0, seed), 32)
}

/// The same for a step, in magnitude below 5.8: of 24 bits of each word, which GPUs can turn into floats exactly.
pub fn normal_at(block: u64, step: u32, seed: [u32; 2]) -> [f64; 4] {
    normal_of(words(block, NORMAL_AT, step, seed).map(|word| word >> 8), 24)
}

/// Normal numbers from words of so many bits.
fn normal_of([a, b, c, d]: [u32; 4], bits: u32) -> [f64; 4] {
    let range = f64::from(bits).exp2();
    let pair = |a: u32, b: u32| {
        let radius = (-2.0 * ((f64::from(a) + 1.0) / range).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * f64::from(b) / range).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([x, y], [z, w]) = (pair(a, b), pair(c, d));
    [x, y, z, w]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_known_answers() {
        // kat_vectors of Random123.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        assert_eq!(philox(pi, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    /// Six standard errors of the mean of 400,000 numbers of variance about 1.
    const SIX_SIGMA: f64 = 6.0 / 632.0;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let moments = |of: fn(u64, [u32; 2]) -> [f64; 4]| {
            let all: Vec<f64> = (0..100_000).flat_map(|block| of(block, [7, 0])).collect();
            [1, 2, 3, 4].map(|k| all.iter().map(|x| x.powi(k)).sum::<f64>() / all.len() as f64)
        };
        let near = |got: [f64; 4], want: [f64; 4], spread: [f64; 4]| {
            (0..4).for_each(|k| assert!((got[k] - want[k]).abs() < SIX_SIGMA * spread[k], "{got:?}"));
        };
        near(moments(uniform), [0.5, 1.0 / 3.0, 0.25, 0.2], [0.3, 0.3, 0.3, 0.3]);
        // Standard deviations of x, x², x³ and x⁴: moments up to the eighth are 1, 3, 15, 105.
        near(moments(normal), [0.0, 1.0, 0.0, 3.0], [1.0, 2f64.sqrt(), 15f64.sqrt(), 96f64.sqrt()]);
    }
}
