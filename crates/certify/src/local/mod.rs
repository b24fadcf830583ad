//! Local certificates: radii by what a network can do near one input.
//!
//! `kinks` says what activations are, `cost` what is lost where they are taken for linear, `bound` puts a network together, and this
//! file looks for the largest radius that is proved so. The proof is in `docs/certificates.md`.
mod bound;
mod cost;
mod kinks;
mod map;
mod network;
#[cfg(test)]
mod tests;
mod vector;

use std::sync::atomic::{AtomicBool, Ordering};

use bound::{Ball, Rise};
pub use network::Piece;
use network::{Network, Node, Point};

use crate::error::{Error, Result};
use crate::network::Step;
use crate::radius::{Slack, Spreads};
use crate::rounding::{add_up, div_down, mul_up, sub_down};

/// A network whose layers say what they compute.
pub struct LocalNetwork {
    network: Network,
}

/// An input with what the forward pass and the certificate that rests on constants alone say of it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Its numbers, each off by at most a unit roundoff of float64.
    pub input: &'a [f64],
    /// Logits as the engine has computed them.
    pub logits: &'a [f64],
    /// By how much their differences may be off in a ball.
    pub slack: Slack,
    /// A radius that is proved already.
    pub radius: f64,
}

/// Bounds of differences of logits that hold everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Everywhere<'a> {
    /// Times the spread of two logits a bound of the Lipschitz constant of their difference.
    pub lipschitz: f64,
    /// See [`Spreads`].
    pub spreads: &'a Spreads,
}

impl Everywhere<'_> {
    fn spread(&self, top: usize, class: usize, classes: usize) -> f64 {
        match self.spreads {
            Spreads::Constant(spread) => *spread,
            Spreads::Pairs(pairs) => pairs[top * classes + class],
        }
    }
}

/// A logit beside the largest.
struct Rival {
    class: usize,
    /// At most the difference of both, less what is off whatever the radius.
    margin: f64,
    /// What is off for each unit of the radius.
    grows: f64,
    /// The radius that constants prove against this one.
    proved: f64,
}

/// The first radius that is tried, over the one that is proved already.
const FIRST: f64 = 1.25;
/// The largest that a try may be above the best so far.
const FARTHEST: f64 = 2.0;
/// Units of an activation of which both sides are looked at, each with those of the others.
const BRANCHES: usize = 4;
/// The part of the way back from a try by which nothing was gained.
const NEARER: f64 = 0.25;
/// Radii are told apart that differ by this part.
const NEAR: f64 = 1e-3;

impl LocalNetwork {
    /// `pieces` has for each step what it computes, if it is a layer that says so, and `numbers` the float32 values that they refer to; `sizes` are
    /// those of the input and of each step for one sample. A layer that says nothing, or of which nothing is gained, is bounded by its constant.
    ///
    /// Errors: `SHAPE_MISMATCH` where these do not fit one another, `INVALID_ARGUMENT` where a piece is none.
    pub fn new(
        steps: &[Step],
        pieces: &[Option<Vec<Piece>>],
        numbers: &[Vec<f32>],
        sizes: &[usize],
    ) -> Result<LocalNetwork> {
        Ok(LocalNetwork { network: Network::new(steps, pieces, numbers, sizes)? })
    }

    /// A radius of at least that of the sample within which no perturbation changes the largest logit, found by `tries` attempts to prove one;
    /// that of the sample once `stop` is set.
    ///
    /// Errors: `SHAPE_MISMATCH` where the sample has other sizes than the network.
    pub fn radius(
        &self,
        sample: Sample<'_>,
        everywhere: Everywhere<'_>,
        tries: usize,
        stop: &AtomicBool,
    ) -> Result<f64> {
        let Sample { input, logits, slack, radius, .. } = sample;
        let [first, .., last] = &self.network.values[..] else { return Ok(radius) };
        if input.len() != first.size || logits.len() != last.size {
            return Err(Error::shape(format!(
                "a sample of {} numbers with {} logits is given to a network of {} and {}",
                input.len(),
                logits.len(),
                first.size,
                last.size
            )));
        }
        let error = mul_up(vector::norm(input), f64::EPSILON);
        let Some(point) = self.network.at(input, error) else { return Ok(radius) };
        let top = largest(logits);
        if let Some(own) = point.values.last().and_then(Option::as_deref) {
            agree(logits, own, top, &slack, everywhere, point.errors.last().copied().unwrap_or(0.0))?;
        }
        let rivals = rivals(logits, &slack, everywhere);
        // A radius that is proved as far as sums cannot overflow is as large as can be.
        if rivals.is_empty() || !(radius > 0.0 && radius < slack.reach) || rivals.iter().any(|one| one.margin <= 0.0) {
            return Ok(radius);
        }
        let search = Search { network: &self.network, point: &point, top, rivals: &rivals, stop };
        Ok(search.run(radius, slack.reach, tries))
    }
}

/// Refuses pieces that give other logits than the engine has computed, by more than rounding may do.
fn agree(logits: &[f64], own: &[f64], top: usize, slack: &Slack, everywhere: Everywhere<'_>, error: f64) -> Result<()> {
    if slack.reach <= 0.0 {
        // Nothing is known of what rounding may do.
        return Ok(());
    }
    for class in 0..logits.len() {
        let off = add_up(slack.fixed, mul_up(everywhere.spread(top, class, logits.len()), slack.spread_fixed));
        let apart = (logits[top] - logits[class]) - (own[top] - own[class]);
        let exact = mul_up(4.0, add_up(error, mul_up(f64::EPSILON, vector::norm(own))));
        if apart.abs() > add_up(off, exact) {
            return Err(Error::argument(format!(
                "what the layers say that they compute gives {} for the difference of logits {top} and {class}, and the engine {}; a layer's \
                 pieces() speaks of another function",
                own[top] - own[class],
                logits[top] - logits[class]
            )));
        }
    }
    Ok(())
}

/// The first of the largest.
fn largest(logits: &[f64]) -> usize {
    (0..logits.len()).reduce(|best, i| if logits[i] > logits[best] { i } else { best }).unwrap_or(0)
}

/// The other logits, those first that come soonest by constants.
fn rivals(logits: &[f64], slack: &Slack, everywhere: Everywhere<'_>) -> Vec<Rival> {
    let top = largest(logits);
    let rival = |class: usize| {
        let spread = everywhere.spread(top, class, logits.len());
        let off = add_up(slack.fixed, mul_up(spread, slack.spread_fixed));
        let margin = sub_down(sub_down(logits[top], logits[class]), off);
        let grows = add_up(slack.per_radius, mul_up(spread, slack.spread_per_radius));
        let steep = add_up(mul_up(everywhere.lipschitz, spread), grows);
        let proved = if steep > 0.0 { div_down(margin.max(0.0), steep) } else { f64::INFINITY };
        Rival { class, margin, grows, proved }
    };
    let mut all: Vec<Rival> = (0..logits.len()).filter(|&class| class != top).map(rival).collect();
    all.sort_by(|a, b| a.proved.total_cmp(&b.proved));
    all
}

/// The search for a radius around one point.
struct Search<'a> {
    network: &'a Network,
    point: &'a Point,
    top: usize,
    rivals: &'a [Rival],
    stop: &'a AtomicBool,
}

impl Search<'_> {
    /// The largest radius that was proved. An attempt at a radius r gives lines that bound rises up to r, and so a radius f(r), of which the
    /// smaller of both is proved. As f falls where r grows, the best is near f(r) = r, between any r and f(r).
    fn run(&self, proved: f64, reach: f64, tries: usize) -> f64 {
        let mut best = proved;
        // Attempts that were proved whole, and others, nearest to one another.
        let mut whole: Option<(f64, f64)> = None;
        let mut part: Option<(f64, f64)> = None;
        let mut next = (proved * FIRST).min(reach);
        let mut reaches = (0.0, Vec::new());
        for _ in 0..tries {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if next > reaches.0 {
                reaches = (next, self.probed(next));
            }
            let found = self.proved_at(next, &reaches.1);
            best = best.max(found.min(next));
            if found >= next {
                whole = Some((next, found));
            } else {
                part = Some((next, found));
            }
            next = match (whole, part) {
                (_, None) => found.min(next * FARTHEST),
                (None, Some((r, f))) if f > proved => 0.5 * (r + f),
                // As long as nothing is gained, ever nearer to what is proved.
                (None, Some((r, _))) => proved + NEARER * (r - proved),
                // Where the line through both attempts meets r.
                (Some((r, f)), Some((s, g))) => {
                    let (above, below) = (f - r, s - g);
                    (r + (s - r) * above / (above + below)).clamp(r.min(s), r.max(s))
                }
            }
            .min(reach);
            let known = [whole, part].iter().flatten().any(|(r, _)| (next - r).abs() <= NEAR * r);
            if next.is_nan() || known || next <= best {
                break;
            }
        }
        best
    }

    /// Up to which radius no rival comes, as far as what holds in a ball of `radius` tells; more than that where none comes in it.
    fn proved_at(&self, radius: f64, reaches: &[Vec<Rise>]) -> f64 {
        let ball = Ball { network: self.network, point: self.point, radius, reaches, branches: BRANCHES };
        let last = self.network.values.len() - 1;
        let mut least = f64::INFINITY;
        for rival in self.rivals.iter().filter(|rival| rival.proved < radius) {
            let mut v = vec![0.0; self.network.values[last].size];
            (v[rival.class], v[self.top]) = (1.0, -1.0);
            let by_rise = |Rise { fixed, slope }: Rise| {
                let steep = add_up(slope, rival.grows);
                let radius = if steep > 0.0 { div_down(sub_down(rival.margin, fixed).max(0.0), steep) } else { 0.0 };
                if radius.is_nan() { 0.0 } else { radius }
            };
            let by_rises = ball.rises(last, v).into_iter().map(by_rise).fold(rival.proved, f64::max);
            least = least.min(by_rises);
            if self.stop.load(Ordering::Relaxed) {
                return 0.0;
            }
        }
        least
    }

    /// How far coordinates of activations move towards 0 in a ball of `radius`, where a map has few of them.
    fn probed(&self, radius: f64) -> Vec<Vec<Rise>> {
        let values = &self.network.values;
        let mut reaches = vec![Vec::new(); values.len()];
        for (at, value) in values.iter().enumerate() {
            let Node::Kinks { from, kinks, steps } = &value.node else { continue };
            let few = kinks.is_few() && !self.point.sizes[at].is_empty();
            let is_first = matches!(&values[*from].node, Node::Map { from: 0, .. } | Node::Input);
            if !few || is_first || self.stop.load(Ordering::Relaxed) {
                continue;
            }
            let ball = Ball { network: self.network, point: self.point, radius, reaches: &reaches, branches: 0 };
            let rise = |j: usize| {
                let (size, step) = (self.point.sizes[at][j], Rise { fixed: 0.0, slope: steps[j] });
                if step.within(radius) <= size.abs() {
                    return step;
                }
                let mut towards = kinks.coordinate(j);
                if size > 0.0 {
                    towards.iter_mut().for_each(|v| *v = -*v);
                }
                let found = ball.least(ball.rises(*from, towards));
                if found.within(radius) < step.within(radius) { found } else { step }
            };
            let of_all: Vec<Rise> = (0..kinks.count()).map(rise).collect();
            reaches[at] = of_all;
        }
        reaches
    }
}
