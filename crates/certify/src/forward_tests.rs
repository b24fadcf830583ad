//! The bound of float32 rounding against chains computed in float32, in several orders, and in double-double.
use super::*;
use crate::network::lipschitz_upper;
use crate::norm::spectral_norm_upper;
use crate::outputs::{OutputBound, intervals_rounded_outward};
use crate::radius::{Spreads, certificate_radius_rounded_down, row_norms};
use crate::rows::row_distances_upper;
use crate::test_support::{Dd, Random};

/// A layer that does nothing to one number.
const PLAIN: RoundedLayer =
    RoundedLayer { lipschitz: 1.0, gain: 0.0, roundings: 0, offset: 0.0, peak: 0.0, copies: 1, lost: 0.0, results: 1 };

/// Layers one after another.
fn chain(layers: &[RoundedLayer]) -> Vec<Step> {
    layers.iter().enumerate().map(|(from, &layer)| Step::Layer { from, layer }).collect()
}

/// A dense layer: weight `[out, in]` and bias.
struct Dense {
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

impl Dense {
    fn random(random: &mut Random, results: usize, inputs: usize, bias: f32) -> Dense {
        let mut numbers = |n: usize, scale: f32| (0..n).map(|_| random.number() * scale).collect::<Vec<f32>>();
        Dense {
            weight: numbers(results * inputs, (inputs as f32).sqrt().recip()),
            bias: numbers(results, bias),
            inputs,
        }
    }

    fn rounded(&self) -> RoundedLayer {
        let (results, inputs) = (self.bias.len(), self.inputs);
        let squares = self.bias.iter().map(|&b| f64::from(b).powi(2)).sum::<f64>();
        RoundedLayer {
            lipschitz: spectral_norm_upper(&self.weight, results, inputs).unwrap(),
            roundings: inputs + 1 + (results.min(inputs) as f64).sqrt().ceil() as usize,
            offset: squares.sqrt() * (1.0 + 1e-12),
            results,
            ..PLAIN
        }
    }

    fn exact(&self, x: &[Dd]) -> Vec<Dd> {
        let rows = self.weight.chunks_exact(self.inputs).zip(&self.bias);
        let term = |w: &f32, x: &Dd| Dd::from(f64::from(*w)).times(*x);
        rows.map(|(row, &b)| row.iter().zip(x).fold(Dd::from(f64::from(b)), |sum, (w, x)| sum.plus(term(w, x))))
            .collect()
    }

    /// In float32: fused from the bias, products rounded and the bias last, or in halves.
    fn computed(&self, x: &[f32], order: usize) -> Vec<f32> {
        let rows = self.weight.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(row, &b)| match order {
            0 => row.iter().zip(x).fold(b, |sum, (w, x)| w.mul_add(*x, sum)),
            1 => row.iter().zip(x).rev().fold(0.0, |sum, (w, x)| sum + w * x) + b,
            _ => halves(row, x) + b,
        })
        .collect()
    }
}

fn halves(w: &[f32], x: &[f32]) -> f32 {
    if w.len() == 1 {
        return w[0] * x[0];
    }
    let middle = w.len() / 2;
    halves(&w[..middle], &x[..middle]) + halves(&w[middle..], &x[middle..])
}

/// Neighbours in ascending order.
fn sorted<T: Copy>(mut x: Vec<T>, above: impl Fn(T, T) -> bool) -> Vec<T> {
    for pair in x.chunks_exact_mut(2) {
        if above(pair[0], pair[1]) {
            pair.swap(0, 1);
        }
    }
    x
}

fn square(x: &[f32]) -> f64 {
    f64::from(x.iter().map(|x| x * x).sum::<f32>())
}

/// Dense layers with sorted pairs between them, in float32: logits and the squares of what enters each layer.
fn forward(layers: &[Dense], x: &[f32], order: usize) -> (Vec<f32>, Vec<f64>) {
    let (mut value, mut squares) = (x.to_vec(), vec![square(x)]);
    for (i, layer) in layers.iter().enumerate() {
        value = layer.computed(&value, order);
        value = if i + 1 < layers.len() { sorted(value, |a, b| a > b) } else { value };
        squares.push(square(&value));
    }
    (value, squares)
}

fn forward_exactly(layers: &[Dense], x: &[f32]) -> Vec<Dd> {
    let mut value: Vec<Dd> = x.iter().map(|&x| Dd::from(f64::from(x))).collect();
    for (i, layer) in layers.iter().enumerate() {
        value = layer.exact(&value);
        value = if i + 1 < layers.len() { sorted(value, |a, b| b.minus(a).is_negative()) } else { value };
    }
    value
}

/// The largest error of a difference of two logits.
fn error(exact: &[Dd], computed: &[f32]) -> f64 {
    let errors = exact.iter().zip(computed).map(|(e, &c)| Dd::from(f64::from(c)).minus(*e).value());
    let (low, high) = errors.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), e| (l.min(e), h.max(e)));
    high - low
}

#[test]
fn random_networks_stay_within_the_bound_at_the_input_and_around_it() {
    let mut random = Random::new(1);
    for scale in [1e-36, 1e-3, 1.0, 255.0, 1e4] {
        for bias in [0.0, 1.0, 1e6] {
            let widths = [300, 40, 12, 6];
            let layers: Vec<Dense> = widths.windows(2).map(|w| Dense::random(&mut random, w[1], w[0], bias)).collect();
            let rounded: Vec<RoundedLayer> = layers.iter().map(Dense::rounded).collect();
            let x: Vec<f32> = (0..widths[0]).map(|_| random.number() * scale).collect();
            let radius = f64::from(scale) * 3.0;
            let moved: Vec<f32> = x.iter().map(|&x| x + scale * 0.17 * random.number()).collect();
            for order in 0..3 {
                let (here, squares) = forward(&layers, &x, order);
                let slack = forward_slack(&chain(&rounded), widths[0], &squares, 0, Claim::Difference).unwrap()[0];
                let (there, _) = forward(&layers, &moved, order);
                let distance = x.iter().zip(&moved).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
                assert!(distance < radius);
                let off =
                    error(&forward_exactly(&layers, &x), &here) + error(&forward_exactly(&layers, &moved), &there);
                let allowed = slack.fixed + slack.per_radius * radius;
                assert!(off <= allowed, "inputs {scale:e}, bias {bias:e}, order {order}: {off:e} above {allowed:e}");
                assert!(slack.reach > 1e20 * radius);
            }
        }
    }
}

#[test]
fn each_pair_of_results_stays_within_what_its_rows_make_of_the_errors() {
    let mut random = Random::new(7);
    for scale in [1e-3, 1.0, 255.0] {
        let widths = [300, 40, 12, 6];
        let mut layers: Vec<Dense> = widths.windows(2).map(|w| Dense::random(&mut random, w[1], w[0], 1.0)).collect();
        // Two rows of the head that are close to one another, with biases far apart.
        let [.., head] = &mut layers[..] else { unreachable!() };
        head.weight.copy_within(0..12, 12);
        head.weight[12] += 1e-4;
        let rounded: Vec<RoundedLayer> = layers.iter().map(Dense::rounded).collect();
        let Spreads::Pairs(spreads) =
            Spreads::pairwise(&row_distances_upper(&layers[2].weight, 6, 12).unwrap()).unwrap()
        else {
            unreachable!()
        };
        let x: Vec<f32> = (0..widths[0]).map(|_| random.number() * scale).collect();
        let moved: Vec<f32> = x.iter().map(|&x| x + scale * 0.17 * random.number()).collect();
        let distance = x.iter().zip(&moved).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() * (1.0 + 1e-6);
        for order in 0..3 {
            let (here, squares) = forward(&layers, &x, order);
            let (there, _) = forward(&layers, &moved, order);
            let steps = chain(&rounded);
            let (all, pairs) = forward_slack_by_rows(&steps, widths[0], &squares, 0, Claim::Difference).unwrap();
            let (whole, slack) = (all[0], pairs[0]);
            assert_eq!(all, forward_slack(&steps, widths[0], &squares, 0, Claim::Difference).unwrap());
            let off = |exact: &[Dd], computed: &[f32]| -> Vec<f64> {
                exact.iter().zip(computed).map(|(e, &c)| Dd::from(f64::from(c)).minus(*e).value()).collect()
            };
            let (at, around) =
                (off(&forward_exactly(&layers, &x), &here), off(&forward_exactly(&layers, &moved), &there));
            for (y, i) in (0..6).flat_map(|y| (0..y).map(move |i| (y, i))) {
                let spread = spreads[y * 6 + i];
                let allowed = slack.fixed
                    + slack.per_radius * distance
                    + spread * (slack.spread_fixed + slack.spread_per_radius * distance);
                let found = (at[y] - at[i]).abs() + (around[y] - around[i]).abs();
                assert!(found <= allowed, "inputs {scale:e}, {y} and {i}, order {order}: {found:e} above {allowed:e}");
                // No more than the bound for all results together.
                assert!(allowed <= (whole.fixed + whole.per_radius * distance) * (1.0 + 1e-12));
            }
        }
    }
}

#[test]
fn each_result_by_itself_stays_within_the_bound_of_all_and_that_of_its_row() {
    let mut random = Random::new(11);
    for scale in [1e-3, 1.0, 255.0] {
        let widths = [300, 40, 12, 6];
        let mut layers: Vec<Dense> = widths.windows(2).map(|w| Dense::random(&mut random, w[1], w[0], 1.0)).collect();
        // A row that is much smaller than the others, and one of zeros.
        let [.., head] = &mut layers[..] else { unreachable!() };
        head.weight[..12].iter_mut().for_each(|w| *w *= 1e-3);
        head.weight[12..24].fill(0.0);
        let rounded: Vec<RoundedLayer> = layers.iter().map(Dense::rounded).collect();
        let norms = row_norms(&row_distances_upper(&layers[2].weight, 6, 12).unwrap()).unwrap();
        let x: Vec<f32> = (0..widths[0]).map(|_| random.number() * scale).collect();
        let moved: Vec<f32> = x.iter().map(|&x| x + scale * 0.17 * random.number()).collect();
        let distance = x.iter().zip(&moved).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() * (1.0 + 1e-6);
        for order in 0..3 {
            let (here, squares) = forward(&layers, &x, order);
            let (there, _) = forward(&layers, &moved, order);
            let steps = chain(&rounded);
            let (all, by_rows) = forward_slack_by_rows(&steps, widths[0], &squares, 0, Claim::Result).unwrap();
            assert_eq!(all, forward_slack(&steps, widths[0], &squares, 0, Claim::Result).unwrap());
            let (whole, body) = (lipschitz_upper(&steps).unwrap(), lipschitz_upper(&steps[..2]));
            let bounds = [
                OutputBound { lipschitz: whole, norms: None, slack: &all },
                OutputBound { lipschitz: body.unwrap(), norms: Some(&norms), slack: &by_rows },
            ];
            let (exact, around) = (forward_exactly(&layers, &x), forward_exactly(&layers, &moved));
            let outputs: Vec<f64> = here.iter().copied().map(f64::from).collect();
            for bound in bounds {
                let ends = intervals_rounded_outward(&outputs, 6, distance, &[bound]).unwrap();
                for i in 0..6 {
                    let (low, high) = (ends[2 * i], ends[2 * i + 1]);
                    for found in [f64::from(there[i]), exact[i].value(), around[i].value()] {
                        assert!(low <= found && found <= high, "inputs {scale:e}, order {order}: {found} {low} {high}");
                    }
                }
            }
            // A result is off by less than a difference of two, and one of a small row changes by less than others.
            let pairs = forward_slack(&steps, widths[0], &squares, 0, Claim::Difference).unwrap()[0];
            assert!(pairs.fixed > 1.41 * all[0].fixed && pairs.per_radius > 1.41 * all[0].per_radius);
            assert!(bounds[1].lipschitz_of(0) < 1e-2 * whole && bounds[1].lipschitz_of(1) == 0.0);
        }
    }
}

#[test]
fn pairs_are_those_of_a_layer() {
    let slack = |steps: &[Step]| forward_slack_by_rows(steps, 1, &vec![1.0; steps.len() + 1], 0, Claim::Difference);
    assert!(slack(&chain(&[PLAIN])).is_ok());
    assert!(slack(&[Step::Sum { from: vec![0] }]).is_err() && slack(&[]).is_err());
}

#[test]
fn the_bound_is_small_for_pixels_and_grows_with_them() {
    let layers = [
        RoundedLayer { lipschitz: 1.0, roundings: 155, offset: 0.1, results: 6272, ..PLAIN },
        RoundedLayer { lipschitz: 1.0, roundings: 1580, offset: 0.1, results: 64, ..PLAIN },
    ];
    let at = |norm: f64| forward_slack(&chain(&layers), 3136, &[norm * norm; 3], 0, Claim::Difference).unwrap()[0];
    assert!(at(9.0).fixed < 3e-3 && at(9.0).per_radius < 2e-4, "{:?}", at(9.0));
    assert!(at(9e4).fixed > 9e3 * at(9.0).fixed);
}

#[test]
fn errors_of_earlier_layers_grow_with_the_bounds_of_later_ones_and_count_here_and_there() {
    let rounding = RoundedLayer { lipschitz: 1.0, roundings: 1000, offset: 0.0, results: 10, ..PLAIN };
    let magnifying = RoundedLayer { lipschitz: 3.0, roundings: 0, ..rounding };
    let slack = forward_slack(&chain(&[rounding, magnifying]), 10, &[4.0, 4.0, 36.0], 0, Claim::Difference).unwrap()[0];
    // sqrt(2) · 3 · 1000 u, for a norm of 2 twice: at the input and in the ball, where it grows with the radius.
    let once = SQRT_2 * 3.0 * 1000.0 * UNIT32;
    assert!(slack.fixed >= 4.0 * once && slack.fixed <= 4.01 * once, "{slack:?}");
    assert!(slack.per_radius >= once && slack.per_radius <= 1.01 * once, "{slack:?}");
}

#[test]
fn numbers_that_are_flushed_to_zero_count() {
    let layer = RoundedLayer { lipschitz: 1.0, roundings: 3, offset: 0.0, results: 9, ..PLAIN };
    let slack = forward_slack(&chain(&[layer]), 4, &[0.0, 0.0], 0, Claim::Difference).unwrap()[0];
    // Each of nine results may lose five sums, three products and what it was given.
    let least = 3.0 * 8.0 * f64::from(f32::MIN_POSITIVE);
    assert!(slack.fixed >= least && slack.fixed <= 1e-24, "{slack:?}");
}

#[test]
fn bytes_have_the_rounding_of_their_division() {
    let slack = |roundings| forward_slack(&[], 4, &[4.0], roundings, Claim::Difference).unwrap()[0];
    assert!(slack(2).fixed >= 4.0 * UNIT32 && slack(2).per_radius >= UNIT32);
    assert!(slack(6).fixed > 2.9 * slack(2).fixed && slack(6).per_radius > 2.9 * slack(2).per_radius);
    assert!(slack(0).fixed < 1e-30 && slack(0).per_radius == 0.0);
}

#[test]
fn a_bias_that_swallows_the_difference_leaves_no_radius() {
    // Linear identity with bias 1e8: float32 knows the logits to 8 only.
    let layer = RoundedLayer { lipschitz: 1.0, roundings: 5, offset: 1.5e8, results: 2, ..PLAIN };
    let slack = forward_slack(&chain(&[layer]), 2, &[32.02, 2e16], 0, Claim::Difference).unwrap();
    let c = certificate_radius_rounded_down(&[100_000_008.0, 1e8], 2, 1.0, &Spreads::GENERIC, &slack).unwrap();
    assert_eq!((c.margin[0], c.radius[0]), (8.0, 0.0));
}

#[test]
fn sums_that_could_overflow_limit_the_radius() {
    let layer = RoundedLayer { lipschitz: 1e20, roundings: 3, offset: 0.0, results: 2, ..PLAIN };
    let slack =
        |square: f64| forward_slack(&chain(&[layer]), 1, &[square, f64::INFINITY], 0, Claim::Difference).unwrap()[0];
    let reach = slack(1.0).reach;
    assert!(reach > 1e17 && reach * 1e20 < f64::from(f32::MAX), "{reach:e}");
    assert_eq!(slack(1e40).reach, 0.0);
    // Where even the squares of what goes in are no number, nothing is claimed.
    assert_eq!(slack(f64::INFINITY).reach, 0.0);
    assert_eq!(slack(f64::NAN).reach, 0.0);
}

#[test]
fn a_sum_too_long_for_float32_certifies_nothing() {
    let layer = RoundedLayer { lipschitz: 1.0, roundings: 1 << 23, results: 2, ..PLAIN };
    assert_eq!(forward_slack(&chain(&[layer]), 1 << 23, &[1.0, 1.0], 0, Claim::Difference).unwrap()[0].reach, 0.0);
}

#[test]
fn bounds_that_are_none_are_refused() {
    use crate::error::Code;
    let layer = RoundedLayer { lipschitz: 1.0, roundings: 3, offset: 0.0, results: 2, ..PLAIN };
    let code = |layer: RoundedLayer, squares: &[f64]| {
        forward_slack(&chain(&[layer]), 2, squares, 0, Claim::Difference).unwrap_err().code
    };
    assert_eq!(code(RoundedLayer { lipschitz: f64::NAN, ..layer }, &[1.0, 1.0]), Code::NonFinite);
    assert_eq!(code(RoundedLayer { offset: -1.0, ..layer }, &[1.0, 1.0]), Code::InvalidArgument);
    assert_eq!(code(layer, &[1.0; 3]), Code::ShapeMismatch);
}

#[test]
fn roundings_are_relative_to_partial_sums_that_are_larger_than_the_result() {
    // 10000 x - 9999 x in float32: what is lost is a part of 10000 x.
    let layer = RoundedLayer { roundings: 4, gain: 1.5e4, results: 1, ..PLAIN };
    let mut random = Random::new(21);
    let (mut worst, mut beyond) = (0.0_f64, 0);
    for _ in 0..1000 {
        let x = random.number();
        let computed = 1e4_f32 * x - 9999.0_f32 * x;
        let off = (f64::from(computed) - f64::from(x)).abs();
        let slack = |layer| {
            forward_slack(
                &chain(&[layer]),
                1,
                &[f64::from(x).powi(2), f64::from(computed).powi(2)],
                0,
                Claim::Difference,
            )
            .unwrap()[0]
        };
        let allowed = slack(layer).fixed / (2.0 * SQRT_2);
        assert!(off <= allowed, "{x}: {off:e}, allowed {allowed:e}");
        worst = worst.max(off / allowed);
        beyond += usize::from(off > slack(RoundedLayer { gain: 0.0, ..layer }).fixed);
    }
    assert!(worst > 0.02 && beyond > 500, "at most {worst} of what is allowed, {beyond} beyond what the result allows");
    // They may overflow before the result does, and no less than it does.
    let reach =
        |layer: RoundedLayer| forward_slack(&chain(&[layer]), 1, &[1.0, 1.0], 0, Claim::Difference).unwrap()[0].reach;
    assert!(reach(layer) < 1e-4 * reach(RoundedLayer { gain: 0.0, ..layer }));
    assert_eq!(reach(RoundedLayer { gain: 0.5, ..layer }), reach(RoundedLayer { gain: 0.0, ..layer }));
    let wrong =
        |gain| forward_slack(&chain(&[RoundedLayer { gain, ..layer }]), 1, &[1.0, 1.0], 0, Claim::Difference).is_err();
    assert!(wrong(-1.0) && wrong(f64::NAN) && wrong(f64::INFINITY));
}

#[test]
fn what_is_larger_on_the_way_than_in_the_result_limits_the_radius() {
    // Norms that are scaled down afterwards.
    let layer = RoundedLayer { lipschitz: 1e-6, peak: 1.0, roundings: 12, ..PLAIN };
    let reach =
        |layer: RoundedLayer| forward_slack(&chain(&[layer]), 4, &[4.0, 0.0], 0, Claim::Difference).unwrap()[0].reach;
    assert!(reach(layer) < f64::from(f32::MAX), "{:e}", reach(layer));
    assert!(reach(layer) > 1e37, "{:e}", reach(layer));
    assert!(reach(RoundedLayer { peak: 0.0, ..layer }) > 1e43);
    // What is smaller on the way takes nothing away.
    assert_eq!(reach(RoundedLayer { peak: 1e-9, ..layer }), reach(RoundedLayer { peak: 0.0, ..layer }));
}

#[test]
fn weights_that_are_flushed_count_for_each_copy_of_a_pixel_that_a_result_reads() {
    // 31x31 copies of one pixel of 256 channels, each times a weight below 2^-126: all of it may be lost.
    let (copies, channels, pixel) = (961, 256, 1e10);
    let layer = RoundedLayer { lipschitz: 1e-30, roundings: copies * channels, copies, ..PLAIN };
    let norm = pixel * (channels as f64).sqrt();
    let slack = forward_slack(&chain(&[layer]), channels, &[norm * norm, 0.0], 0, Claim::Difference).unwrap()[0];
    let lost = (copies * channels) as f64 * f64::from(f32::MIN_POSITIVE) * pixel;
    assert!(slack.fixed > 2.0 * SQRT_2 * lost, "{slack:?}, where {lost:e} may be lost");
    assert!(
        forward_slack(&chain(&[RoundedLayer { copies: 0, ..layer }]), 1, &[1.0, 1.0], 0, Claim::Difference).is_err()
    );
}

#[test]
fn branches_that_are_added_or_stand_side_by_side_stay_within_the_bound() {
    let mut random = Random::new(5);
    for scale in [1e-36, 1.0, 255.0] {
        for bias in [0.0, 1e6] {
            // A residual block of 20 numbers, then its value beside another layer of it, then logits.
            let inner = Dense::random(&mut random, 20, 20, bias);
            let beside = Dense::random(&mut random, 7, 20, bias);
            let last = Dense::random(&mut random, 5, 27, bias);
            let layer = |from: usize, dense: &Dense| Step::Layer { from, layer: dense.rounded() };
            let steps = [
                layer(0, &inner),
                Step::Sum { from: vec![0, 1, 0] },
                layer(2, &beside),
                Step::Concat { from: vec![2, 3] },
                layer(4, &last),
            ];
            let computed = |x: &[f32], order: usize| {
                let inside = inner.computed(x, order);
                let sum: Vec<f32> = x.iter().zip(&inside).map(|(x, y)| (x + y) + x).collect();
                let side = beside.computed(&sum, order);
                let both = [&sum[..], &side[..]].concat();
                let logits = last.computed(&both, order);
                let squares: Vec<f64> = [x, &inside, &sum, &side, &both, &logits].into_iter().map(square).collect();
                (logits, squares)
            };
            let exactly = |x: &[f32]| {
                let x: Vec<Dd> = x.iter().map(|&x| Dd::from(f64::from(x))).collect();
                let sum: Vec<Dd> = x.iter().zip(inner.exact(&x)).map(|(x, y)| x.plus(y).plus(*x)).collect();
                last.exact(&[&sum[..], &beside.exact(&sum)[..]].concat())
            };
            let x: Vec<f32> = (0..20).map(|_| random.number() * scale).collect();
            let moved: Vec<f32> = x.iter().map(|&x| x + scale * 0.3 * random.number()).collect();
            let radius = f64::from(scale) * 2.0;
            for order in 0..3 {
                let (here, squares) = computed(&x, order);
                let slack = forward_slack(&steps, 20, &squares, 0, Claim::Difference).unwrap()[0];
                let off = error(&exactly(&x), &here) + error(&exactly(&moved), &computed(&moved, order).0);
                let allowed = slack.fixed + slack.per_radius * radius;
                assert!(off <= allowed, "inputs {scale:e}, bias {bias:e}, order {order}: {off:e} above {allowed:e}");
                assert!(allowed < 1e-3 * (1.0 + f64::from(bias)) * f64::from(scale).max(1.0), "{allowed:e}");
            }
        }
    }
}

#[test]
fn a_branch_that_could_overflow_limits_the_radius_wherever_it_ends() {
    let wide = RoundedLayer { lipschitz: 1e20, ..PLAIN };
    let narrow = RoundedLayer { lipschitz: 1e-25, ..PLAIN };
    let plain = [Step::Layer { from: 0, layer: wide }, Step::Layer { from: 1, layer: narrow }];
    for end in [Step::Sum { from: vec![0, 2] }, Step::Concat { from: vec![0, 2] }] {
        let slack = forward_slack(&[&plain[..], &[end]].concat(), 1, &[1.0; 4], 0, Claim::Difference).unwrap()[0];
        assert!(slack.reach > 1e16 && slack.reach < 1e19, "{slack:?}");
    }
    // Two values of which each stays in range and their sum need not.
    let sum = forward_slack(&[Step::Sum { from: vec![0, 0] }], 1, &[1e70, 1e70], 0, Claim::Difference).unwrap()[0];
    let one =
        forward_slack(&[Step::Layer { from: 0, layer: PLAIN }], 1, &[1e70, 1e70], 0, Claim::Difference).unwrap()[0];
    assert!(sum.reach < 0.51 * one.reach, "{sum:?}, alone {one:?}");
}
