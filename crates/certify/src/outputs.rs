//! What is proved of each output of a network by itself: within which radius it keeps its sign, and between which numbers it stays.
use crate::error::{Error, Result};
use crate::radius::{Slack, check_radius};
use crate::rounding::{add_up, mul_up, sub_down};

/// A bound of what outputs change by around samples, each by itself.
#[derive(Clone, Copy, Debug)]
pub struct OutputBound<'a> {
    /// A proved bound of the Lipschitz constant: of all outputs together, or of what enters a linear last layer.
    pub lipschitz: f64,
    /// The norms of the rows of that last layer, at least, one for each output; without them every output has the bound of all.
    pub norms: Option<&'a [f64]>,
    /// What float32 rounds in a result ([`crate::Claim::Result`]), an entry for each sample.
    pub slack: &'a [Slack],
}

impl OutputBound<'_> {
    fn spread(&self, output: usize) -> f64 {
        self.norms.map_or(1.0, |norms| norms[output])
    }

    /// A bound of the Lipschitz constant of one output.
    pub fn lipschitz_of(&self, output: usize) -> f64 {
        mul_up(self.lipschitz, self.spread(output))
    }

    fn check(&self, outputs: &[f64], width: usize) -> Result<()> {
        let &OutputBound { lipschitz, norms, slack } = self;
        let usable = |v: &f64| v.is_finite() && *v >= 0.0;
        if let Some(bound) = [lipschitz].iter().chain(norms.unwrap_or(&[])).find(|v| !usable(v)) {
            return Err(Error::argument(format!("a bound of the outputs is {bound}; give finite ones, 0 or more")));
        }
        if let Some(norms) = norms.filter(|norms| norms.len() != width) {
            return Err(Error::shape(format!("there are {} norms of rows for {width} outputs", norms.len())));
        }
        Slack::check(slack, outputs.len() / width)
    }
}

/// For each output, `[n, width]`, the radius within which it keeps its sign as computed in float32, by the best of the bounds, rounded down: the
/// largest r up to the slack's reach with |f| - slack at r >= L r. What is 0 may have any sign, and radius 0. Errors: `SHAPE_MISMATCH`,
/// `INVALID_ARGUMENT` for bounds that are none, `NON_FINITE` for outputs that are not finite.
pub fn sign_radii_rounded_down(outputs: &[f64], width: usize, bounds: &[OutputBound<'_>]) -> Result<Vec<f64>> {
    check(outputs, width, bounds)?;
    let radius = |(at, output): (usize, &f64)| {
        let by = |bound: &OutputBound<'_>| {
            bound.slack[at / width].radius(output.abs(), bound.lipschitz, bound.spread(at % width))
        };
        bounds.iter().map(by).fold(0.0, f64::max)
    };
    Ok(outputs.iter().enumerate().map(radius).collect())
}

/// For each output the least and the largest number, `[n, width, 2]`, that it can be at any point within `radius` of its sample, as computed in
/// float32 and in exact arithmetic: output ± (slack + L radius) by the best of the bounds, rounded outward; infinite beyond the reach of
/// the slack. Errors as of [`sign_radii_rounded_down`], and `INVALID_ARGUMENT` for a radius that is negative or not finite.
pub fn intervals_rounded_outward(
    outputs: &[f64],
    width: usize,
    radius: f64,
    bounds: &[OutputBound<'_>],
) -> Result<Vec<f64>> {
    check(outputs, width, bounds)?;
    check_radius(radius)?;
    let interval = |(at, &output): (usize, &f64)| {
        let by =
            |bound: &OutputBound<'_>| bound.slack[at / width].change(radius, bound.lipschitz, bound.spread(at % width));
        let change = bounds.iter().map(by).fold(f64::INFINITY, f64::min);
        [sub_down(output, change), add_up(output, change)]
    };
    Ok(outputs.iter().enumerate().flat_map(interval).collect())
}

fn check(outputs: &[f64], width: usize, bounds: &[OutputBound<'_>]) -> Result<()> {
    if width == 0 || !outputs.len().is_multiple_of(width) {
        return Err(Error::shape(format!("{} numbers cannot be rows of {width} outputs", outputs.len())));
    }
    if let Some(at) = outputs.iter().position(|x| !x.is_finite()) {
        let (sample, output) = (at / width, at % width);
        return Err(Error::non_finite(format!(
            "output {output} of sample {sample} is {}; finite outputs are needed for a bound",
            outputs[at]
        )));
    }
    bounds.iter().try_for_each(|bound| bound.check(outputs, width))
}

#[cfg(test)]
#[path = "outputs_tests.rs"]
mod tests;
