//! A network as its bounds see it: layers, and where branches meet.
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::rounding::{add_up, mul_up, norm_up};

/// How the float32 result of one layer differs from the exact function f of the values that it is given.
///
/// The layer promises ‖fl(f(x)) - f(x)‖ <= gamma_N (G ‖x‖ + offset), where gamma_N = N u / (1 - N u) and G is the larger of `lipschitz`
/// and `gain`, but for operands and results that are flushed to zero; and that it takes at most N + 2 operations a result, not
/// counting products.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoundedLayer {
    /// L: an upper bound of the Lipschitz constant of f.
    pub lipschitz: f64,
    /// At least ‖g(x) - g(0)‖ / ‖x‖ of every vector g(x) of partial results on the way to the results, where that may be more than L: parts of a
    /// sum may be larger than the whole.
    #[serde(default)]
    pub gain: f64,
    /// N, 0 for layers that only move, choose or drop values.
    #[serde(default)]
    pub roundings: usize,
    /// At least ‖f(0)‖.
    #[serde(default)]
    pub offset: f64,
    /// At least 0, so that each number on the way to the result is at most `peak` ‖x‖ + offset where that is more than
    /// G ‖x‖ + offset: 1 for norms that are scaled down afterwards.
    #[serde(default)]
    pub peak: f64,
    /// Most places at which one result reads the same input: 1 but for padding that copies pixels.
    #[serde(default = "one")]
    pub copies: usize,
    /// At least the norm of what the result may lose to numbers below 2^-126 beyond what each operation loses once, because
    /// later ones scale it up.
    #[serde(default)]
    pub lost: f64,
    /// Numbers that come out for one sample.
    #[serde(default)]
    pub results: usize,
}

impl RoundedLayer {
    /// G: what the roundings of the layer are relative to.
    pub(crate) fn rounded_gain(&self) -> f64 {
        self.lipschitz.max(self.gain)
    }
}

fn one() -> usize {
    1
}

/// One value of a network and what it is computed from: earlier values by their numbers. The input is number 0, the value of
/// the first step number 1; the last step gives the logits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum Step {
    /// A layer of one value.
    Layer {
        /// What goes in.
        from: usize,
        /// What is known of it.
        layer: RoundedLayer,
    },
    /// The sum of values of one shape, added up one after another.
    Sum {
        /// What is added.
        from: Vec<usize>,
    },
    /// Values side by side.
    Concat {
        /// What stands there.
        from: Vec<usize>,
    },
}

impl Step {
    fn from(&self) -> &[usize] {
        match self {
            Step::Layer { from, .. } => std::slice::from_ref(from),
            Step::Sum { from } | Step::Concat { from } => from,
        }
    }
}

/// Refuses steps that read what is not computed yet, and numbers that are no bounds.
pub(crate) fn check(steps: &[Step]) -> Result<()> {
    for (i, step) in steps.iter().enumerate() {
        if step.from().is_empty() || step.from().iter().any(|&value| value > i) {
            return Err(Error::argument(format!(
                "step {i} is computed from the values {:?}; give at least one of 0 (the input) to {i}",
                step.from()
            )));
        }
        let Step::Layer { layer, .. } = step else { continue };
        let &RoundedLayer { lipschitz, gain, offset, peak, copies, lost, .. } = layer;
        if [lipschitz, gain, offset, peak, lost].iter().any(|v| v.is_nan() || v.is_infinite()) {
            return Err(Error::non_finite(format!(
                "layer {i} has the Lipschitz bound {lipschitz}, the gain {gain}, the offset {offset}, the peak {peak} and loses {lost}; \
                 make them finite"
            )));
        }
        if [lipschitz, gain, offset, peak, lost].iter().any(|v| *v < 0.0) || copies == 0 {
            return Err(Error::argument(format!(
                "layer {i} has the Lipschitz bound {lipschitz}, the gain {gain}, the offset {offset}, the peak {peak} and {copies} \
                 copies; bounds are not negative, and there is at least 1 copy"
            )));
        }
    }
    Ok(())
}

/// An upper bound of the Lipschitz constant of a network, from those of its layers: their product along a chain, the sum where
/// branches are added, the root of the sum of squares where they stand side by side. Rounded up throughout; 1 without steps.
///
/// `INVALID_ARGUMENT` where a bound is negative or a step reads what is not there, `NON_FINITE` where a bound is not finite or
/// passes the largest float64.
pub fn lipschitz_upper(steps: &[Step]) -> Result<f64> {
    Ok(lipschitz_uppers(steps)?[steps.len()])
}

/// Those of the input, which is 1, and of all values up to each step.
pub(crate) fn lipschitz_uppers(steps: &[Step]) -> Result<Vec<f64>> {
    check(steps)?;
    let mut bounds = vec![1.0];
    for (i, step) in steps.iter().enumerate() {
        let of = step.from().iter().map(|&value| bounds[value]);
        let bound = match step {
            Step::Layer { from, layer } => mul_up(bounds[*from], layer.lipschitz),
            Step::Sum { .. } => of.fold(0.0, add_up),
            Step::Concat { .. } => norm_up(of),
        };
        if !f64::is_finite(bound) {
            return Err(Error::non_finite(format!(
                "the Lipschitz bound is {bound} after step {i}; make the bounds of the layers smaller"
            )));
        }
        bounds.push(bound);
    }
    Ok(bounds)
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
