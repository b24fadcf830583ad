//! Certificates: known values, ties, degenerate heads, and what rounding down guarantees.
use super::*;
use crate::error::Code;
use crate::rows::row_distances_upper;
use crate::test_support::Dd;

/// The formula in float64 rounds a handful of times.
const FORMULA: f64 = 1e-12;

const LOGITS: [f64; 8] = [0.5, 2.5, -1.0, 1.0, 3.0, 3.0, 0.0, 1.0];
/// Each logit by itself has the bound.
const DISJOINT: Spreads = Spreads::Constant(2.0);
const HEAD: [f64; 8] = [1.0, 0.0, 0.0, 3.0, -1.0, 0.0, 0.0, 1.0];

/// The spreads of a head.
fn pairwise(weight: &[f32], classes: usize, features: usize) -> Spreads {
    Spreads::pairwise(&row_distances_upper(weight, classes, features).unwrap()).unwrap()
}

fn near(got: f64, want: f64) -> bool {
    got == want || (got - want).abs() <= FORMULA * want.abs()
}

fn plain(kind: HeadKind, lipschitz: f64) -> Certificates {
    certificate_radius(&LOGITS, 4, kind, lipschitz, Some(Head { weight: &HEAD, features: 2 })).unwrap()
}

#[test]
fn the_generic_radius_is_the_margin_over_root_two() {
    let c = plain(HeadKind::Generic, 2.0);
    assert_eq!((c.predicted[0], c.runner_up[0], c.margin[0]), (1, 3, 1.5));
    assert!(near(c.radius[0], 1.5 / (2.0 * 2f64.sqrt())));
}

#[test]
fn the_disjoint_radius_is_half_the_margin() {
    assert!(near(plain(HeadKind::Disjoint, 2.0).radius[0], 1.5 / 4.0));
}

#[test]
fn the_pairwise_radius_is_the_least_over_the_other_classes_not_the_runner_up() {
    let mut head = HEAD;
    head[2..4].copy_from_slice(&[0.0, 1.5]);
    let c = certificate_radius(&LOGITS, 4, HeadKind::Pairwise, 2.0, Some(Head { weight: &head, features: 2 })).unwrap();
    assert_eq!(c.runner_up[0], 3);
    assert!(near(c.radius[0], 2.0 / (2.0 * (1.0 + 2.25f64).sqrt())), "{}", c.radius[0]);
}

#[test]
fn a_tie_predicts_the_first_class_with_radius_zero() {
    for kind in [HeadKind::Generic, HeadKind::Disjoint, HeadKind::Pairwise] {
        let c = plain(kind, 1.0);
        assert_eq!((c.predicted[1], c.runner_up[1], c.margin[1], c.radius[1]), (0, 1, 0.0, 0.0));
    }
}

#[test]
fn equal_rows_of_the_head_bound_nothing_unless_their_logits_tie() {
    let head = Head { weight: &[1.0, 1.0, 1.0, 1.0], features: 2 };
    let c = certificate_radius(&[2.0, 1.0, 1.0, 1.0], 2, HeadKind::Pairwise, 1.0, Some(head)).unwrap();
    assert_eq!(c.radius, [f64::INFINITY, 0.0]);
}

#[test]
fn a_constant_network_keeps_its_class_everywhere() {
    let c = certificate_radius(&[2.0, 1.0, 1.0, 1.0], 2, HeadKind::Generic, 0.0, None).unwrap();
    assert_eq!(c.radius, [f64::INFINITY, 0.0]);
}

#[test]
fn one_class_cannot_change() {
    for kind in [HeadKind::Generic, HeadKind::Pairwise] {
        let c = certificate_radius(&[2.0], 1, kind, 1.0, Some(Head { weight: &[1.0], features: 1 })).unwrap();
        assert_eq!((c.predicted[0], c.runner_up[0]), (0, -1));
        assert_eq!((c.margin[0], c.radius[0]), (f64::INFINITY, f64::INFINITY));
    }
}

#[test]
fn no_rows_give_no_certificates() {
    assert_eq!(certificate_radius(&[], 3, HeadKind::Generic, 1.0, None), Ok(Certificates::default()));
}

#[test]
fn rounding_down_stays_below_the_formula_and_next_to_it() {
    for (kind, spreads) in [
        (HeadKind::Generic, Spreads::GENERIC),
        (HeadKind::Disjoint, Spreads::Constant(2.0)),
        (HeadKind::Pairwise, pairwise(&HEAD.map(|w| w as f32), 4, 2)),
    ] {
        let down = certificate_radius_rounded_down(&LOGITS, 4, 0.7, &spreads, &[Slack::default(); 2]).unwrap();
        let nearest = plain(kind, 0.7);
        assert!(down.radius[0] < nearest.radius[0] && near(down.radius[0], nearest.radius[0]));
        assert_eq!(down.radius[1], 0.0);
    }
}

#[test]
fn rounding_down_never_passes_a_radius_that_float64_rounds_up() {
    // 1 / 3 in float64 is below 1/3, 2 / 3 above: r L_yi <= margin must hold exactly. With L = 3 / 2 the constant is 3.
    for margin in [1.0, 2.0, 5.0, 7.0] {
        let c = certificate_radius_rounded_down(&[margin, 0.0], 2, 1.5, &DISJOINT, &[Slack::default()]).unwrap();
        let (r, product) = (c.radius[0], c.radius[0] * 3.0);
        assert!(product < margin || (product == margin && r.mul_add(3.0, -margin) <= 0.0), "{margin}: {r}");
    }
}

#[test]
fn slack_lowers_the_margin_and_raises_the_slope() {
    let slack = Slack { fixed: 0.5, per_radius: 1.0, ..Slack::default() };
    let c = certificate_radius_rounded_down(&[2.0, 0.0], 2, 1.0, &DISJOINT, &[slack]).unwrap();
    assert!(near(c.radius[0], 1.5 / 3.0));
    let c = certificate_radius_rounded_down(&[0.25, 0.0], 2, 1.0, &DISJOINT, &[slack]).unwrap();
    assert_eq!(c.radius[0], 0.0);
}

#[test]
fn heads_of_any_scale_keep_the_pairwise_radius() {
    for scale in [1e-200, 1e200] {
        let weight = [3.0 * scale, 0.0, 0.0, 4.0 * scale];
        let c =
            certificate_radius(&[1.0, 0.0], 2, HeadKind::Pairwise, 1.0, Some(Head { weight: &weight, features: 2 }));
        assert!(near(c.unwrap().radius[0], 1.0 / (5.0 * scale)));
    }
}

#[test]
fn what_cannot_be_certified_is_refused() {
    let code = |logits: &[f64], classes, kind, lipschitz, head| {
        certificate_radius(logits, classes, kind, lipschitz, head).unwrap_err().code
    };
    assert_eq!(code(&[1.0, f64::NAN], 2, HeadKind::Generic, 1.0, None), Code::NonFinite);
    assert_eq!(code(&[1.0, f64::INFINITY], 2, HeadKind::Generic, 1.0, None), Code::NonFinite);
    assert_eq!(code(&[1.0, 2.0], 0, HeadKind::Generic, 1.0, None), Code::InvalidArgument);
    assert_eq!(code(&[1.0, 2.0, 3.0], 2, HeadKind::Generic, 1.0, None), Code::ShapeMismatch);
    assert_eq!(code(&[1.0, 2.0], 2, HeadKind::Generic, -1.0, None), Code::InvalidArgument);
    assert_eq!(code(&[1.0, 2.0], 2, HeadKind::Generic, f64::NAN, None), Code::InvalidArgument);
    assert_eq!(code(&[1.0, 2.0], 2, HeadKind::Pairwise, 1.0, None), Code::InvalidArgument);
    let head = |weight| Some(Head { weight, features: 2 });
    assert_eq!(code(&[1.0, 2.0], 2, HeadKind::Pairwise, 1.0, head(&[1.0; 3])), Code::ShapeMismatch);
    assert_eq!(code(&[1.0, 2.0], 2, HeadKind::Pairwise, 1.0, head(&[1.0, 2.0, f64::NAN, 0.0])), Code::NonFinite);
    let refused = |slack: &[Slack]| {
        certificate_radius_rounded_down(&[1.0, 2.0], 2, 1.0, &Spreads::GENERIC, slack).unwrap_err().code
    };
    let (none, nan) = (Slack::default(), f64::NAN);
    assert_eq!(refused(&[Slack { fixed: -1.0, ..none }]), Code::InvalidArgument);
    assert_eq!(refused(&[Slack { per_radius: f64::INFINITY, ..none }]), Code::InvalidArgument);
    assert_eq!(refused(&[Slack { reach: nan, ..none }]), Code::InvalidArgument);
    assert_eq!(refused(&[none; 2]), Code::ShapeMismatch);
}

#[test]
fn a_pairwise_radius_holds_for_the_distance_that_summation_has_lost() {
    // 1 + n 2^-54 is 1 in float64, term by term; the exact distance is larger by n 2^-55.
    let features = 1 << 17;
    let mut weight = vec![0.0; 2 * features];
    weight[..features].fill(2f32.powi(-27));
    weight[0] = 1.0;
    let spreads = pairwise(&weight, 2, features);
    let c = certificate_radius_rounded_down(&[1.0, 0.0], 2, 1.0, &spreads, &[Slack::default()]).unwrap();
    let (radius, square) =
        (Dd::from(c.radius[0]), Dd::from(1.0).plus(Dd::from((features - 1) as f64 * 2f64.powi(-54))));
    // radius² distance² <= margin² = 1, exactly.
    let excess = radius.times(radius).times(square).minus(Dd::from(1.0));
    assert!(excess.is_negative(), "{:e} above the margin", excess.value());
}

#[test]
fn no_radius_goes_beyond_the_reach_of_the_slack() {
    let slack = [Slack { reach: 0.25, ..Slack::default() }, Slack::default()];
    let c = certificate_radius_rounded_down(&[9.0, 0.0, 9.0, 0.0], 2, 0.0, &Spreads::GENERIC, &slack).unwrap();
    assert_eq!(c.radius, [0.25, f64::INFINITY]);
}

#[test]
fn each_row_has_its_own_slack() {
    let slack = [Slack { fixed: 1.0, ..Slack::default() }, Slack::default()];
    let c = certificate_radius_rounded_down(&[2.0, 0.0, 2.0, 0.0], 2, 1.0, &DISJOINT, &slack).unwrap();
    assert!(near(c.radius[0], 0.5) && near(c.radius[1], 1.0), "{:?}", c.radius);
}

#[test]
fn what_enters_a_head_is_off_by_as_much_as_rows_are_apart() {
    let slack = [Slack { spread_fixed: 0.25, spread_per_radius: 0.5, ..Slack::default() }];
    // Rows are 2 apart, and 4: (8 - 2 · 0.25) / (2 + 2 · 0.5) and (8 - 4 · 0.25) / (4 + 4 · 0.5).
    let spreads = pairwise(&[1.0, -1.0, -3.0], 3, 1);
    let radius = |logits: &[f64]| certificate_radius_rounded_down(logits, 3, 1.0, &spreads, &slack).unwrap().radius[0];
    assert!(near(radius(&[8.0, 0.0, -80.0]), 2.5) && near(radius(&[8.0, -80.0, 0.0]), 7.0 / 6.0));
}

#[test]
fn spreads_that_are_none_are_refused() {
    let refused = |spreads: &Spreads| {
        certificate_radius_rounded_down(&[1.0, 2.0], 2, 1.0, spreads, &[Slack::default()]).unwrap_err().code
    };
    assert_eq!(refused(&Spreads::Pairs(vec![1.0; 3])), Code::ShapeMismatch);
    assert_eq!(refused(&Spreads::Pairs(vec![0.0, f64::NAN, 1.0, 0.0])), Code::InvalidArgument);
    assert_eq!(refused(&Spreads::Constant(-1.0)), Code::InvalidArgument);
    assert_eq!(Spreads::pairwise(&[0.0; 8]).unwrap_err().code, Code::ShapeMismatch);
    assert_eq!(Spreads::disjoint(&[0.0]).unwrap_err().code, Code::ShapeMismatch);
}

#[test]
fn logits_each_by_itself_change_by_the_norms_of_their_rows() {
    // 3-4-5 and 5-12-13; the rows themselves are sqrt(68) apart.
    let distances = row_distances_upper(&[3.0, 4.0, 5.0, 12.0], 2, 2).unwrap();
    let of = |spreads: Spreads| match spreads {
        Spreads::Pairs(pairs) => pairs,
        Spreads::Constant(spread) => vec![spread],
    };
    let (pairs, each) = (of(Spreads::pairwise(&distances).unwrap()), of(Spreads::disjoint(&distances).unwrap()));
    assert!(near(pairs[1], 68f64.sqrt()) && near(each[1], 18.0) && each[1] >= 18.0, "{pairs:?} {each:?}");
    assert_eq!((pairs[0], each[3], pairs[2], each[2]), (0.0, 0.0, pairs[1], each[1]));
}

#[test]
fn logits_that_are_left_out_would_not_have_come_sooner() {
    let mut random = crate::test_support::Random::new(3);
    for round in 0..300 {
        let (classes, features) = (2 + round % 40, 3);
        let head: Vec<f64> = (0..classes * features).map(|_| f64::from(random.number())).collect();
        let logits: Vec<f64> = (0..classes).map(|_| f64::from(random.number()) * 3.0).collect();
        let c = certificate_radius(&logits, classes, HeadKind::Pairwise, 1.5, Some(Head { weight: &head, features }));
        let (c, row) = (c.unwrap(), |i: usize| &head[i * features..(i + 1) * features]);
        let top = c.predicted[0] as usize;
        let radius = |i: usize| (logits[top] - logits[i]) / (1.5 * distance(row(top), row(i)));
        let least = (0..classes).filter(|&i| i != top).map(radius).fold(f64::INFINITY, f64::min);
        assert!(near(c.radius[0], least), "round {round}: {} and {least}", c.radius[0]);
    }
}

#[test]
fn a_lead_is_the_least_over_the_other_classes_of_what_its_difference_can_become() {
    let mut random = crate::test_support::Random::new(9);
    for round in 0..300 {
        let (classes, features, radius) = (2 + round % 20, 3, f64::from(random.number().abs()));
        let head: Vec<f32> = (0..classes * features).map(|_| random.number()).collect();
        // Some of them tie.
        let logits: Vec<f64> = (0..classes).map(|_| f64::from((random.number() * 8.0).round())).collect();
        let slack =
            Slack { fixed: 0.1, per_radius: 0.2, spread_fixed: 0.3, spread_per_radius: 0.4, ..Slack::default() };
        let spreads = match round % 3 {
            0 => Spreads::GENERIC,
            _ => pairwise(&head, classes, features),
        };
        let leads = leads_rounded_up(&logits, classes, 1.5, &spreads, &[slack], radius).unwrap();
        for y in 0..classes {
            let lead = |i: usize| {
                let spread = spreads.of(y, i, classes);
                logits[y] - logits[i] + 0.1 + 0.3 * spread + (1.5 * spread + 0.2 + 0.4 * spread) * radius
            };
            let least = (0..classes).filter(|&i| i != y).map(lead).fold(f64::INFINITY, f64::min);
            assert!((leads[y] - least).abs() < 1e-12, "round {round}, {y}: {} and {least}", leads[y]);
        }
    }
}

#[test]
fn a_class_has_lost_its_lead_where_its_certificate_ends_and_not_before() {
    let slack = Slack { fixed: 0.1, per_radius: 0.2, ..Slack::default() };
    for spreads in [Spreads::GENERIC, pairwise(&HEAD.map(|w| w as f32), 4, 2)] {
        let radius = certificate_radius_rounded_down(&LOGITS[..4], 4, 0.7, &spreads, &[slack]).unwrap().radius[0];
        let others = |radius: f64| {
            let leads = leads_rounded_up(&LOGITS[..4], 4, 0.7, &spreads, &[slack], radius).unwrap();
            [0, 2, 3].map(|y| leads[y]).into_iter().fold(f64::NEG_INFINITY, f64::max)
        };
        assert!(others(radius * (1.0 - 1e-9)) < 0.0 && others(radius * (1.0 + 1e-9)) > 0.0);
    }
}

#[test]
fn leads_have_no_bound_beyond_the_reach_nor_against_nobody() {
    let of = |logits: &[f64], radius| {
        let slack = [Slack { reach: 2.0, ..Slack::default() }];
        leads_rounded_up(logits, logits.len(), 1.0, &Spreads::GENERIC, &slack, radius)
    };
    assert_eq!(of(&[1.0, 0.0], 2.1).unwrap(), [f64::INFINITY; 2]);
    assert_eq!(of(&[1.0], 1.0).unwrap(), [f64::INFINITY]);
    assert_eq!(of(&[1.0, 0.0], -1.0).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(of(&[1.0, f64::NAN], 1.0).unwrap_err().code, Code::NonFinite);
}
