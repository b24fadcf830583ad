//! What an op is tried on: operands with the numbers that fill them, attributes, and how near the kernel must come.
use ndarray::ArrayD;
use serde_json::Value;
use tslip_graph::{DType, Spec};

/// How far a kernel in f32 may be from the f64 reference, rounded to the output's type.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Relative to the element itself.
    pub of_element: f64,
    /// Relative to the largest magnitude of the result.
    pub of_largest: f64,
    /// On top of both, for results of terms of size about 1 that may cancel.
    pub absolute: f64,
}

/// Moves, comparisons, integers, and single operations that IEEE 754 rounds correctly.
pub const EXACT: Tolerance = Tolerance { of_element: 0.0, of_largest: 0.0, absolute: 0.0 };
/// Library functions of f32: a few units in the last place.
pub const FUNCTION: Tolerance = Tolerance { of_element: 2e-6, of_largest: 0.0, absolute: 0.0 };
/// Sums and products of matrices, where terms cancel: the error goes with the size of the terms.
pub const SUMMED: Tolerance = Tolerance { of_element: 1e-6, of_largest: 1e-5, absolute: 1e-5 };

/// One trial of an op.
#[derive(Clone, Debug)]
pub struct Case {
    /// Registered name.
    pub op: &'static str,
    /// Attributes as they come from a graph.
    pub attributes: Value,
    /// Operands.
    pub inputs: Vec<Input>,
    /// Distance allowed between kernel and reference; `EXACT` unless said otherwise.
    pub tolerance: Tolerance,
    /// Whether derivatives are compared, first and second ones.
    pub smooth: bool,
}

/// A case that is exact and smooth.
pub fn case(op: &'static str, attributes: Value, inputs: impl Into<Vec<Input>>) -> Case {
    Case { op, attributes, inputs: inputs.into(), tolerance: EXACT, smooth: true }
}

impl Case {
    /// Allows the kernel this distance from the reference.
    pub fn within(self, tolerance: Tolerance) -> Self {
        Case { tolerance, ..self }
    }

    /// Says that the operands lie on a kink or that there are no derivatives.
    pub fn not_smooth(self) -> Self {
        Case { smooth: false, ..self }
    }

    /// The operands' values; the same ones each time.
    pub fn values(&self) -> Vec<ArrayD<f64>> {
        let name = format!("{}{}", self.op, self.attributes);
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let mut numbers = Numbers(seed);
        self.inputs.iter().map(|input| input.values(&mut numbers)).collect()
    }

    /// What a failure is named by.
    pub fn label(&self) -> String {
        let shapes: Vec<String> = self.inputs.iter().map(|i| format!("{}{:?}", i.spec.dtype, i.spec.shape)).collect();
        format!("{} {} on {}", self.op, self.attributes, shapes.join(", "))
    }
}

/// An operand and where its numbers come from.
#[derive(Clone, Debug)]
pub struct Input {
    /// Shape and type.
    pub spec: Spec,
    fill: Fill,
}

#[derive(Clone, Debug)]
enum Fill {
    Normal,
    Uniform(f64, f64),
    Integers(i64, i64),
    Spaced,
    Values(Vec<f64>),
}

/// Normal floats.
pub fn normal(shape: &[usize]) -> Input {
    Input { spec: Spec::f32(shape), fill: Fill::Normal }
}

/// Uniform floats between two bounds.
pub fn uniform(shape: &[usize], low: f64, high: f64) -> Input {
    Input { spec: Spec::f32(shape), fill: Fill::Uniform(low, high) }
}

/// Floats that all differ by 0.1 or more, none nearer to zero than 0.05, shuffled: away from ties and kinks.
pub fn spaced(shape: &[usize]) -> Input {
    Input { spec: Spec::f32(shape), fill: Fill::Spaced }
}

/// Integers of `low..high`, i32 unless `of` says otherwise; as floats they have many ties.
pub fn integers(shape: &[usize], low: i64, high: i64) -> Input {
    Input { spec: Spec::new(shape, DType::I32), fill: Fill::Integers(low, high) }
}

/// Booleans.
pub fn bools(shape: &[usize]) -> Input {
    integers(shape, 0, 2).of(DType::Bool)
}

/// Floats given one by one, unless `of` says otherwise.
pub fn values(shape: &[usize], values: &[f64]) -> Input {
    Input { spec: Spec::f32(shape), fill: Fill::Values(values.to_vec()) }
}

/// Floats that break careless formulas: signed zeros, infinities, NaN, the largest and the smallest.
pub fn wild() -> Input {
    let (max, tiny) = (f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE));
    let all = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, max, -max, tiny, -tiny, 0.5, -2.5];
    values(&[all.len()], &all)
}

impl Input {
    /// The same numbers in another type.
    pub fn of(self, dtype: DType) -> Self {
        Input { spec: Spec::new(self.spec.shape, dtype), ..self }
    }

    fn values(&self, numbers: &mut Numbers) -> ArrayD<f64> {
        let n = self.spec.len();
        let mut out: Vec<f64> = match &self.fill {
            Fill::Normal => (0..n).map(|_| numbers.normal()).collect(),
            Fill::Uniform(low, high) => (0..n).map(|_| low + (high - low) * numbers.uniform()).collect(),
            Fill::Integers(low, high) => {
                (0..n).map(|_| (low + (numbers.uniform() * (high - low) as f64) as i64) as f64).collect()
            }
            Fill::Spaced => numbers.spaced(n),
            Fill::Values(given) => given.clone(),
        };
        if self.spec.dtype == DType::F32 {
            out.iter_mut().for_each(|v| *v = f64::from(*v as f32));
        }
        ArrayD::from_shape_vec(self.spec.shape.clone(), out).expect("a case gives as many values as its shape holds")
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, variance 1.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn spaced(&mut self, n: usize) -> Vec<f64> {
        let mut out: Vec<f64> =
            (0..n).map(|i| 0.1 * i as f64 - 0.05 * n as f64 + 0.025 + 0.01 * self.uniform()).collect();
        for v in &mut out {
            *v += 0.05_f64.copysign(*v);
        }
        for i in (1..n).rev() {
            out.swap(i, (self.uniform() * (i + 1) as f64) as usize);
        }
        out
    }
}
