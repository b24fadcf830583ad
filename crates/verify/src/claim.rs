//! Which radius is proved of an input.
use crate::network::{Evaluated, Network};
use crate::norm::row_distances;
use crate::outward::{add, div_down, mul, sqrt_of, sub_down};
use crate::rounding::Known;
use crate::work::{Stopped, Work};

/// Classes whose rows in the last layer are compared with one another, at most.
const MOST_ROWS: usize = 1024;

/// A network of which all bounds are proved.
pub(crate) struct Proved {
    pub network: Network,
    pub known: Vec<Known>,
    /// Of a last layer that is dense how far its rows are apart, and their norms behind: `[classes, classes + 1]`.
    distances: Option<Vec<f64>>,
}

/// By which bound of differences of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// sqrt(2) times that of all of them together.
    Generic,
    /// That of what enters the last layer, times the distance of two of its rows.
    Pairwise,
    /// The same, times the sum of the norms of two rows.
    Disjoint,
}

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        match name {
            "generic" => Some(Kind::Generic),
            "pairwise" => Some(Kind::Pairwise),
            "disjoint" => Some(Kind::Disjoint),
            _ => None,
        }
    }
}

impl Proved {
    pub fn new(network: Network, known: Vec<Known>, work: &Work) -> Result<Self, Stopped> {
        let head = network.head().filter(|(_, rows, _)| *rows <= MOST_ROWS);
        let distances = head.map(|(weight, rows, columns)| row_distances(weight, rows, columns, work)).transpose()?;
        Ok(Proved { network, known, distances })
    }

    /// Whether there are bounds of a kind.
    pub fn has(&self, kind: Kind) -> bool {
        kind == Kind::Generic || self.distances.is_some()
    }

    /// The largest radius that is proved of a class at an input; 0 where none is.
    ///
    /// Proof. The exact difference of logits f_y - f_i is known up to sqrt(2) times `off`. At a distance of r it is smaller by at most s L r,
    /// and its float32 value is off by at most what the layer adds by itself, sqrt(2) (A + B r), and s (a + b r) of what enters it. Of kind
    /// generic "what enters" is nothing and A + B r is the error of all logits together.
    pub fn radius(&self, at: &Evaluated, class: usize, kind: Kind) -> f64 {
        let logits = &at.logits;
        let root = sqrt_of(2);
        if logits.numbers.iter().any(|logit| !logit.is_finite()) {
            return 0.0;
        }
        let classes = self.network.classes;
        let mut radius = logits.reach;
        for other in (0..classes).filter(|other| *other != class) {
            let (fixed, slope) = match (kind, &at.before, &self.distances) {
                (Kind::Generic, ..) => {
                    (mul(root, logits.ball.fixed), mul(root, add(logits.ball.slope, logits.product)))
                }
                (_, Some(before), Some(distances)) => {
                    let row = |class: usize| &distances[class * (classes + 1)..][..classes + 1];
                    let spread = match kind {
                        Kind::Pairwise => row(class)[other],
                        _ => add(row(class)[classes], row(other)[classes]),
                    };
                    let grows = add(before.ball.slope, before.product);
                    let fixed = add(mul(root, before.own.fixed), mul(spread, before.ball.fixed));
                    (fixed, add(mul(root, before.own.slope), mul(spread, grows)))
                }
                _ => return 0.0,
            };
            let difference = sub_down(logits.numbers[class], logits.numbers[other]);
            let left = sub_down(difference, add(fixed, mul(root, logits.off)));
            radius = radius.min(match left > 0.0 {
                true if slope == 0.0 => f64::INFINITY,
                true => div_down(left, slope),
                false => 0.0,
            });
        }
        radius
    }

    /// Whether float32 may give an input a class: of a radius 0 no more is claimed.
    pub fn may_be(&self, at: &Evaluated, class: usize) -> bool {
        let logits = &at.logits;
        let off = mul(sqrt_of(2), add(logits.ball.fixed, logits.off));
        logits.numbers.iter().all(|other| sub_down(*other, logits.numbers[class]) <= off)
    }
}
