//! Local radii against networks in two and three dimensions of which the whole neighbourhood is looked at, and against their pieces.
use super::*;
use crate::network::RoundedLayer;
use crate::norm::spectral_norm_upper;
use crate::radius::certificate_radius_rounded_down;
use crate::test_support::Random;

/// A network of dense layers with activations between.
struct Tiny {
    layers: Vec<(Vec<f32>, Vec<f32>, usize)>,
    activation: Activation,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Activation {
    Pairs,
    Fours,
    Relu,
    MaxMin,
    Norms,
    Maxima,
}

const ACTIVATIONS: [Activation; 6] =
    [Activation::Pairs, Activation::Fours, Activation::Relu, Activation::MaxMin, Activation::Norms, Activation::Maxima];

/// Without rounding: what is tested is the bound of the exact function.
const EXACT: Slack =
    Slack { fixed: 0.0, per_radius: 0.0, spread_fixed: 0.0, spread_per_radius: 0.0, reach: f64::INFINITY };

fn plain(lipschitz: f64, results: usize) -> RoundedLayer {
    RoundedLayer { lipschitz, gain: 0.0, roundings: 0, offset: 0.0, peak: 0.0, copies: 1, lost: 0.0, results }
}

impl Activation {
    fn piece(self, width: usize) -> Piece {
        match self {
            Activation::Pairs => Piece::Sort { group: 2, channels: width, places: 1, scale: 1.0 },
            Activation::Fours => Piece::Sort { group: 4, channels: width / 2, places: 2, scale: 0.5 },
            Activation::Relu => Piece::Relu { inputs: width },
            Activation::MaxMin => Piece::MaxMin { inputs: width, scale: 1.0 },
            Activation::Norms => {
                Piece::Norms { channels: 1, image: [2, width / 2], kernel: [2, 1], stride: [2, 1], scale: 1.0 }
            }
            Activation::Maxima => Piece::Maxima { channels: 1, image: [2, width / 2], kernel: [2, 2], stride: [2, 2] },
        }
    }

    fn lipschitz(self) -> f64 {
        if self == Activation::Fours { 0.5 } else { 1.0 }
    }

    /// As its name says, by no code of the library.
    fn of(self, z: &[f64]) -> Vec<f64> {
        let n = z.len();
        let half = n / 2;
        match self {
            Activation::Pairs => z.chunks(2).flat_map(|p| [p[0].min(p[1]), p[0].max(p[1])]).collect(),
            Activation::Fours => {
                let mut out = vec![0.0; n];
                for first in (0..half).step_by(4) {
                    for place in 0..2 {
                        let mut group: Vec<f64> = (first..first + 4).map(|c| z[2 * c + place]).collect();
                        group.sort_by(f64::total_cmp);
                        group.iter().enumerate().for_each(|(i, x)| out[2 * (first + i) + place] = 0.5 * x);
                    }
                }
                out
            }
            Activation::Relu => z.iter().map(|x| x.max(0.0)).collect(),
            Activation::MaxMin => z.iter().map(|x| x.max(0.0)).chain(z.iter().map(|x| (-x).max(0.0))).collect(),
            Activation::Norms => (0..half).map(|i| z[i].hypot(z[half + i])).collect(),
            Activation::Maxima => (0..half / 2)
                .map(|i| z[2 * i].max(z[2 * i + 1]).max(z[half + 2 * i]).max(z[half + 2 * i + 1]))
                .collect(),
        }
    }
}

/// Of each step, where it says what it computes.
type Pieces = Vec<Option<Vec<Piece>>>;

impl Tiny {
    fn random(random: &mut Random, activation: Activation, inputs: usize, hidden: &[usize], classes: usize) -> Tiny {
        let mut layers = Vec::new();
        let mut from = inputs;
        for (i, &to) in hidden.iter().chain([&classes]).enumerate() {
            let scale = (from as f32).sqrt().recip() * if i == 0 { 1.5 } else { 1.0 };
            let mut weight: Vec<f32> = (0..to * from).map(|_| random.number() * scale).collect();
            let mut bias: Vec<f32> = (0..to).map(|_| random.number() * 0.3).collect();
            // Rows that are equal, opposite, nothing: ties, and units that are dead.
            if i < hidden.len() && random.number() > 0.0 {
                weight.copy_within(0..from, from);
                bias[1] = if random.number() > 0.0 { bias[0] } else { bias[1] };
                if random.number() > 0.0 {
                    weight[2 * from..3 * from].fill(0.0);
                    bias[2] = 0.0;
                }
            }
            layers.push((weight, bias, from));
            if i < hidden.len() {
                from = activation.of(&vec![0.0; to]).len();
            }
        }
        Tiny { layers, activation }
    }

    fn at(&self, x: &[f64]) -> Vec<f64> {
        let mut z = x.to_vec();
        for (i, (weight, bias, inputs)) in self.layers.iter().enumerate() {
            let rows = weight.chunks_exact(*inputs).zip(bias);
            z = rows
                .map(|(w, b)| w.iter().zip(&z).map(|(w, z)| f64::from(*w) * z).sum::<f64>() + f64::from(*b))
                .collect();
            if i + 1 < self.layers.len() {
                z = self.activation.of(&z);
            }
        }
        z
    }

    fn steps(&self) -> (Vec<Step>, Pieces, Vec<Vec<f32>>, Vec<usize>) {
        let (mut steps, mut pieces, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut sizes = vec![self.layers[0].2];
        for (i, (weight, bias, inputs)) in self.layers.iter().enumerate() {
            let (outputs, at) = (bias.len(), numbers.len());
            let lipschitz = spectral_norm_upper(weight, outputs, *inputs).unwrap();
            steps.push(Step::Layer { from: steps.len(), layer: plain(lipschitz, outputs) });
            pieces.push(Some(vec![Piece::Dense { weight: at, bias: Some(at + 1), inputs: *inputs }]));
            numbers.extend([weight.clone(), bias.clone()]);
            sizes.push(outputs);
            if i + 1 < self.layers.len() {
                let width = self.activation.of(&vec![0.0; outputs]).len();
                steps.push(Step::Layer { from: steps.len(), layer: plain(self.activation.lipschitz(), width) });
                pieces.push(Some(vec![self.activation.piece(outputs)]));
                sizes.push(width);
            }
        }
        (steps, pieces, numbers, sizes)
    }

    /// The radius by constants, and the local one.
    fn radii(&self, x: &[f64], tries: usize) -> (f64, f64) {
        let (steps, pieces, numbers, sizes) = self.steps();
        let network = LocalNetwork::new(&steps, &pieces, &numbers, &sizes).unwrap();
        let lipschitz = crate::network::lipschitz_upper(&steps).unwrap();
        let logits = self.at(x);
        let fast =
            certificate_radius_rounded_down(&logits, logits.len(), lipschitz, &Spreads::GENERIC, &[EXACT]).unwrap();
        let radius = fast.radius[0];
        let sample = Sample { input: x, logits: &logits, slack: EXACT, radius };
        let everywhere = Everywhere { lipschitz, spreads: &Spreads::GENERIC };
        (radius, network.radius(sample, everywhere, tries, &AtomicBool::new(false)).unwrap())
    }
}

fn class(logits: &[f64]) -> usize {
    largest(logits)
}

/// A point of the unit sphere.
fn direction(random: &mut Random, n: usize) -> Vec<f64> {
    loop {
        let d: Vec<f64> = (0..n).map(|_| f64::from(random.number())).collect();
        let length = d.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 0.1 && length <= 1.0 {
            return d.iter().map(|x| x / length).collect();
        }
    }
}

/// The least distance at which a class changes along rays, found by bisection between a point of the same class and one of another.
fn nearest_change(network: &Tiny, x: &[f64], rays: usize, random: &mut Random, farthest: f64) -> f64 {
    let own = class(&network.at(x));
    let n = x.len();
    let moved = |d: &[f64], r: f64| -> Vec<f64> { x.iter().zip(d).map(|(x, d)| x + r * d).collect() };
    let mut least = farthest;
    for ray in 0..rays {
        let d = if n == 2 {
            let angle = ray as f64 / rays as f64 * std::f64::consts::TAU;
            vec![angle.cos(), angle.sin()]
        } else {
            direction(random, n)
        };
        // Steps along the ray, so that a class that comes and goes is seen.
        const STEPS: usize = 60;
        let changed =
            (1..=STEPS).map(|i| least * i as f64 / STEPS as f64).find(|&r| class(&network.at(&moved(&d, r))) != own);
        let Some(mut high) = changed else { continue };
        let mut low = high - least / STEPS as f64;
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if class(&network.at(&moved(&d, middle))) == own { low = middle } else { high = middle }
        }
        least = high;
    }
    least
}

#[test]
fn no_class_changes_within_a_local_radius_in_two_and_three_dimensions() {
    let mut random = Random::new(11);
    let (mut gained, mut all) = (0, 0);
    for activation in ACTIVATIONS {
        for round in 0..30 {
            let (inputs, rays) = if round % 3 == 0 { (3, 1500) } else { (2, 720) };
            let hidden: &[usize] = if round % 2 == 0 { &[8, 8] } else { &[8] };
            let network = Tiny::random(&mut random, activation, inputs, hidden, 3);
            let x: Vec<f64> = (0..inputs).map(|_| f64::from(random.number())).collect();
            let (fast, local) = network.radii(&x, 6);
            assert!(local >= fast, "{activation:?} {round}: {local} is less than {fast}");
            if fast == 0.0 {
                continue;
            }
            let nearest = nearest_change(&network, &x, rays, &mut random, 4.0 * local);
            assert!(
                local <= nearest * (1.0 + 1e-9),
                "{activation:?} {round}: {local} is beaten at {nearest}, fast {fast}"
            );
            all += 1;
            gained += usize::from(local > 1.1 * fast);
        }
    }
    assert!(gained > all / 2, "only {gained} of {all} radii grew: the test has become idle");
}

#[test]
fn activations_are_what_they_are_called_and_functionals_of_them_are_split_right() {
    let mut random = Random::new(12);
    for activation in ACTIVATIONS {
        for _ in 0..50 {
            let z: Vec<f64> = (0..8).map(|_| f64::from(random.number())).collect();
            let step = [Step::Layer { from: 0, layer: plain(activation.lipschitz(), activation.of(&z).len()) }];
            let sizes = [8, activation.of(&z).len()];
            let network = Network::new(&step, &[Some(vec![activation.piece(8)])], &[], &sizes).unwrap();
            let point = network.at(&z, 0.0).unwrap();
            let own = point.values.last().unwrap().clone().unwrap();
            for (a, b) in own.iter().zip(activation.of(&z)) {
                assert!((a - b).abs() < 1e-14, "{activation:?}: {own:?}");
            }
        }
    }
}

#[test]
fn what_a_functional_rises_by_is_never_above_the_bound_at_random_points_of_a_ball() {
    let mut random = Random::new(13);
    let mut nearest = 0.0_f64;
    for activation in ACTIVATIONS {
        for round in 0..40 {
            let network = Tiny::random(&mut random, activation, 4, &[8, 8], 3);
            let (steps, pieces, numbers, sizes) = network.steps();
            let local = Network::new(&steps, &pieces, &numbers, &sizes).unwrap();
            let x: Vec<f64> = (0..4).map(|_| f64::from(random.number())).collect();
            let point = local.at(&x, 0.0).unwrap();
            let rivals = [];
            let stop = AtomicBool::new(false);
            let radius = 0.05 * f64::from(1 + round % 10);
            let reaches =
                Search { network: &local, point: &point, top: 0, rivals: &rivals, stop: &stop }.probed(radius);
            let v: Vec<f64> = (0..3).map(|_| f64::from(random.number())).collect();
            let along = |x: &[f64]| network.at(x).iter().zip(&v).map(|(f, v)| f * v).sum::<f64>();
            for branches in [0, 2, 4] {
                let ball = Ball { network: &local, point: &point, radius, reaches: &reaches, branches };
                let rises = ball.rises(local.values.len() - 1, v.clone());
                for _ in 0..300 {
                    let (d, share) = (direction(&mut random, 4), f64::from(random.number().abs()).sqrt());
                    let moved: Vec<f64> = x.iter().zip(&d).map(|(x, d)| x + radius * share * d).collect();
                    let rise = along(&moved) - along(&x);
                    for bound in &rises {
                        let bound = bound.within(radius * share);
                        assert!(rise <= bound + 1e-12, "{activation:?} {round}: {rise} is above {bound}");
                        nearest = nearest.max(rise / bound);
                    }
                }
            }
        }
    }
    assert!(nearest > 0.9, "no point comes nearer than {nearest} of its bound: the test has become idle");
}

#[test]
fn pieces_that_compute_something_else_are_refused() {
    let mut random = Random::new(14);
    let network = Tiny::random(&mut random, Activation::Pairs, 2, &[8], 3);
    let (steps, pieces, numbers, sizes) = network.steps();
    let local = LocalNetwork::new(&steps, &pieces, &numbers, &sizes).unwrap();
    let mut logits = network.at(&[0.3, 0.4]);
    let top = largest(&logits);
    logits[top] += 1e-6;
    let everywhere = Everywhere { lipschitz: 1.0, spreads: &Spreads::GENERIC };
    let sample = Sample { input: &[0.3, 0.4], logits: &logits, slack: EXACT, radius: 1e-3 };
    let refused = local.radius(sample, everywhere, 1, &AtomicBool::new(false)).unwrap_err();
    assert!(refused.message.contains("speaks of another function"), "{refused}");
    let short = Sample { input: &[0.3], ..sample };
    assert_eq!(
        local.radius(short, everywhere, 1, &AtomicBool::new(false)).unwrap_err().code,
        crate::error::Code::ShapeMismatch
    );
    for (wrong, message) in [
        (vec![Piece::Relu { inputs: 3 }], "takes 3 numbers and is given 8"),
        (vec![Piece::MaxMin { inputs: 8, scale: 1.0 }], "give 16 numbers; it has 8"),
        (vec![Piece::Sort { group: 3, channels: 8, places: 1, scale: 1.0 }], "cannot be sorted"),
        (vec![Piece::Norms { channels: 1, image: [2, 4], kernel: [2, 2], stride: [1, 2], scale: 1.0 }], "overlap"),
    ] {
        let mut pieces = pieces.clone();
        pieces[1] = Some(wrong);
        let refused = LocalNetwork::new(&steps, &pieces, &numbers, &sizes).err().unwrap();
        assert!(refused.message.contains(message), "{refused}");
    }
}

#[test]
fn a_layer_that_says_nothing_leaves_what_is_in_front_of_it() {
    let mut random = Random::new(15);
    for _ in 0..20 {
        let network = Tiny::random(&mut random, Activation::Pairs, 3, &[8, 8], 3);
        let (steps, mut pieces, numbers, sizes) = network.steps();
        let x = [0.2, -0.1, 0.4];
        let logits = network.at(&x);
        let lipschitz = crate::network::lipschitz_upper(&steps).unwrap();
        let fast =
            certificate_radius_rounded_down(&logits, 3, lipschitz, &Spreads::GENERIC, &[EXACT]).unwrap().radius[0];
        for silent in [0, 1, 3, 4] {
            pieces[silent] = None;
            let local = LocalNetwork::new(&steps, &pieces, &numbers, &sizes).unwrap();
            let sample = Sample { input: &x, logits: &logits, slack: EXACT, radius: fast };
            let everywhere = Everywhere { lipschitz, spreads: &Spreads::GENERIC };
            let radius = local.radius(sample, everywhere, 6, &AtomicBool::new(false)).unwrap();
            assert!(radius >= fast);
            assert!(radius <= nearest_change(&network, &x, 400, &mut random, 4.0 * radius) * (1.0 + 1e-9));
        }
    }
}
