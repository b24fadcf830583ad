//! What float32 does to the values of a network, at a sample and in the ball around it, and what float64 does to those computed here.
use crate::outward::{UNIT, UNIT32, add, div_down, gamma, mul, norm, sqrt_of, sub_down};

/// Four times the smallest normal float32: what an operation may lose where subnormal numbers count as 0.
const FLUSHED32: f64 = 4.0 * f32::MIN_POSITIVE as f64;
/// The same of float64, which keeps subnormal numbers.
const FLUSHED64: f64 = 4.0 * f64::MIN_POSITIVE;
/// Below half the largest float32, so that no sum overflows, and a little above the quarter of it up to which radii are claimed: another platform may
/// have found that a unit later.
const LARGEST: f64 = f32::MAX as f64 / 4.0 * 1.001;

/// How a layer f rounds: ‖fl(f(x)) - f(x)‖ <= gamma_N (G ‖x‖ + offset), N = `roundings`, in float32 by the engine in any order of its sums
/// that is one for all results, and here in float64 (docs/certificates.md, "The error of a layer").
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rounding {
    pub roundings: usize,
    /// At least the Lipschitz bound of every part of the sums on the way, where that is more than the layer's.
    pub gain: f64,
    /// At least ‖f(0)‖.
    pub offset: f64,
    /// Numbers on the way are at most the larger of this and the gain, times ‖x‖, plus the offset.
    pub peak: f64,
    /// Most places at which a result reads one number.
    pub copies: usize,
    /// At least the norm of what may be lost to numbers below 2^-126 that are scaled up later.
    pub lost: f64,
}

impl Default for Rounding {
    /// Of a layer that moves, chooses or drops numbers.
    fn default() -> Self {
        Rounding { roundings: 0, gain: 0.0, offset: 0.0, peak: 0.0, copies: 1, lost: 0.0 }
    }
}

/// What is known of a layer, once it is proved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub lipschitz: f64,
    pub rounding: Rounding,
    /// Numbers that come out.
    pub results: usize,
}

/// fixed + slope r, for all radii r.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Line {
    pub fixed: f64,
    pub slope: f64,
}

impl Line {
    pub fn plus(self, other: Line) -> Line {
        Line { fixed: add(self.fixed, other.fixed), slope: add(self.slope, other.slope) }
    }

    pub fn times(self, factor: f64) -> Line {
        Line { fixed: mul(self.fixed, factor), slope: mul(self.slope, factor) }
    }
}

/// A value of the network as it was computed here, and how far off values may be.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub numbers: Vec<f64>,
    /// At least the norm of what `numbers` are off by.
    pub off: f64,
    /// At least the error of float32 in the ball around the sample.
    pub ball: Line,
    /// At least the Lipschitz constant of the exact value as a function of the input.
    pub product: f64,
    /// The largest radius for which no number on the way can overflow in float32.
    pub reach: f64,
}

impl Value {
    /// A sample: `numbers`, of which each is a byte over 255 where they are `pixels`.
    pub fn sample(numbers: Vec<f64>, pixels: bool) -> Value {
        let divided = if pixels { PIXEL_ROUNDINGS } else { 0 };
        let value = Value { numbers, off: 0.0, ball: Line::default(), product: 1.0, reach: f64::INFINITY };
        let (norm, root) = (value.norm(), sqrt_of(value.numbers.len()));
        let given = gamma(divided, UNIT32);
        let ball = Line { fixed: add(mul(given, norm), mul(FLUSHED32, root)), slope: given };
        Value { off: mul(gamma(divided, UNIT), norm), ball, ..value }
    }

    /// At least the norm of the exact value.
    pub fn norm(&self) -> f64 {
        add(norm(&self.numbers), self.off)
    }

    /// At least the norm of what float32 makes of it in the ball.
    fn around(&self) -> Line {
        Line { fixed: self.norm(), slope: self.product }.plus(self.ball)
    }

    /// What a layer rounds in float32, in the ball, and the largest numbers on the way; then what it rounds in float64 here.
    pub fn rounded(&self, layer: &Known) -> Rounded {
        let gain = layer.rounding.gain.max(layer.lipschitz);
        let largest = |of: Line, factor: f64| of.times(factor).plus(Line { fixed: layer.rounding.offset, slope: 0.0 });
        let around = self.around();
        let by = |of: Line, unit: f64, flushed: f64, more: f64| {
            let Rounding { roundings, copies, .. } = layer.rounding;
            // Of each result N + 2 sums and as many products, the operands, and N + 1 weights that meet a patch of the value.
            let operations = mul((roundings + 2) as f64, sqrt_of(layer.results));
            let lost = add(mul(flushed, add(operations, mul(gain, sqrt_of(self.numbers.len())))), more);
            let read = mul(sqrt_of(layer.results), mul(sqrt_of(roundings + 1), sqrt_of(copies)));
            largest(of, gain)
                .times(gamma(roundings, unit))
                .plus(of.times(mul(flushed, read)))
                .plus(Line { fixed: lost, slope: 0.0 })
        };
        let here = Line { fixed: norm(&self.numbers), slope: 0.0 };
        Rounded {
            ball: by(around, UNIT32, FLUSHED32, layer.rounding.lost),
            largest: largest(around, gain.max(layer.rounding.peak)),
            off: by(here, UNIT, FLUSHED64, 0.0).fixed,
        }
    }

    /// What a layer makes of it: `numbers`, as computed.
    pub fn through(&self, layer: &Known, numbers: Vec<f64>) -> Value {
        let Rounded { ball, largest, off } = self.rounded(layer);
        let value = Value {
            numbers,
            off: add(mul(self.off, layer.lipschitz), off),
            ball: self.ball.times(layer.lipschitz).plus(ball),
            product: mul(self.product, layer.lipschitz),
            reach: self.reach,
        };
        value.limited(largest)
    }

    /// The sum of two values.
    pub fn plus(&self, other: &Value) -> Value {
        let around = self.around().plus(other.around());
        let numbers: Vec<f64> = self.numbers.iter().zip(&other.numbers).map(|(a, b)| a + b).collect();
        let root = sqrt_of(numbers.len());
        let flushed = Line { fixed: mul(2.0 * FLUSHED32, root), slope: 0.0 };
        let rounded = mul(gamma(1, UNIT), add(self.norm(), other.norm()));
        let value = Value {
            numbers,
            off: add(add(self.off, other.off), add(rounded, mul(FLUSHED64, root))),
            ball: self.ball.plus(other.ball).plus(around.times(gamma(1, UNIT32))).plus(flushed),
            product: add(self.product, other.product),
            reach: self.reach.min(other.reach),
        };
        value.limited(around)
    }

    /// Values side by side: lines add up as norms do (Minkowski).
    pub fn beside(values: Vec<Value>) -> Value {
        let all = |of: &dyn Fn(&Value) -> f64| norm(&values.iter().map(of).collect::<Vec<_>>());
        Value {
            off: all(&|value| value.off),
            ball: Line { fixed: all(&|value| value.ball.fixed), slope: all(&|value| value.ball.slope) },
            product: all(&|value| value.product),
            reach: values.iter().fold(f64::INFINITY, |least, value| least.min(value.reach)),
            numbers: values.into_iter().flat_map(|value| value.numbers).collect(),
        }
    }

    fn limited(self, largest: Line) -> Value {
        let room = sub_down(LARGEST, largest.fixed);
        let reach = match room > 0.0 {
            true if largest.slope == 0.0 => f64::INFINITY,
            true => div_down(room, largest.slope),
            // Also where it is no number.
            false => 0.0,
        };
        Value { reach: self.reach.min(reach), ..self }
    }
}

/// Of bytes divided by 255 before the first layer.
const PIXEL_ROUNDINGS: usize = 2;

/// What a layer adds to errors.
pub(crate) struct Rounded {
    pub ball: Line,
    pub largest: Line,
    pub off: f64,
}
