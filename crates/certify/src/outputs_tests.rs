//! Outputs by themselves: known values, which side rounding is on, and what claims nothing.
use super::*;
use crate::error::Code;
use crate::test_support::{Dd, Random};

const EXACT: Slack =
    Slack { fixed: 0.0, per_radius: 0.0, spread_fixed: 0.0, spread_per_radius: 0.0, reach: f64::INFINITY };

fn of_all(lipschitz: f64, slack: &[Slack]) -> OutputBound<'_> {
    OutputBound { lipschitz, norms: None, slack }
}

fn near(got: f64, want: f64) -> bool {
    got == want || (got - want).abs() <= 1e-12 * want.abs()
}

#[test]
fn a_sign_is_kept_up_to_the_output_over_its_bound() {
    let radii = sign_radii_rounded_down(&[3.0, -1.0, 0.0, -0.0], 2, &[of_all(2.0, &[EXACT; 2])]).unwrap();
    assert!(near(radii[0], 1.5) && near(radii[1], 0.5), "{radii:?}");
    assert_eq!(radii[2..], [0.0, 0.0]);
}

#[test]
fn rows_have_the_bound_of_their_norms_and_the_best_bound_counts() {
    let slack = [Slack { spread_fixed: 0.25, spread_per_radius: 0.5, ..EXACT }];
    let rows = OutputBound { lipschitz: 1.0, norms: Some(&[0.5, 4.0]), slack: &slack };
    let all = of_all(3.0, &[EXACT]);
    assert!(rows.lipschitz_of(1) == 4.0 && all.lipschitz_of(1) == 3.0);
    let radii = sign_radii_rounded_down(&[6.0, 6.0], 2, &[all, rows]).unwrap();
    // (6 - 0.5 · 0.25) / (0.5 + 0.5 · 0.5) against 6 / 3, and 5 / (4 + 4 · 0.5) against 2.
    assert!(near(radii[0], 5.875 / 0.75) && near(radii[1], 2.0), "{radii:?}");
    let ends = intervals_rounded_outward(&[6.0, 6.0], 2, 1.0, &[all, rows]).unwrap();
    let want = [6.0 - 0.875, 6.0 + 0.875, 3.0, 9.0];
    assert!(ends.iter().zip(want).all(|(&end, want)| near(end, want)), "{ends:?}");
}

#[test]
fn intervals_contain_the_exact_ones_and_hardly_more() {
    let mut random = Random::new(5);
    for _ in 0..2000 {
        let mut number = || f64::from(random.number().abs());
        let (lipschitz, norm, radius) = (number() * 3.0, number(), number());
        let slack = Slack {
            fixed: number() / 7.0,
            per_radius: number() / 9.0,
            spread_fixed: number(),
            spread_per_radius: number(),
            ..EXACT
        };
        let output = f64::from(random.number()) * 10.0;
        let bound = OutputBound { lipschitz, norms: Some(&[norm]), slack: &[slack] };
        let ends = intervals_rounded_outward(&[output], 1, radius, &[bound]).unwrap();
        let exact = |v: f64| Dd::from(v);
        let grows =
            exact(slack.per_radius).plus(exact(norm).times(exact(lipschitz).plus(exact(slack.spread_per_radius))));
        let change =
            exact(slack.fixed).plus(exact(norm).times(exact(slack.spread_fixed))).plus(grows.times(exact(radius)));
        let below = exact(output).minus(change).minus(exact(ends[0]));
        let above = exact(ends[1]).minus(exact(output).plus(change));
        let room = 1e-14 * (output.abs() + change.value());
        assert!(!below.is_negative() && below.value() <= room, "{below:?}");
        assert!(!above.is_negative() && above.value() <= room, "{above:?}");
        // At its radius an output has not passed 0.
        let kept = sign_radii_rounded_down(&[output], 1, &[bound]).unwrap()[0];
        let there = intervals_rounded_outward(&[output], 1, kept * (1.0 - 1e-12), &[bound]).unwrap();
        assert!(kept == 0.0 || there[0] > 0.0 || there[1] < 0.0, "{output}: {there:?} at {kept}");
    }
}

#[test]
fn what_cannot_change_keeps_its_sign_for_ever_but_for_0() {
    let radii = sign_radii_rounded_down(&[1.0, 0.0], 1, &[of_all(0.0, &[EXACT; 2])]).unwrap();
    assert_eq!(radii, [f64::INFINITY, 0.0]);
}

#[test]
fn nothing_is_claimed_beyond_the_reach_of_slack_nor_where_it_has_none() {
    let within = |reach: f64, radius: f64| {
        intervals_rounded_outward(&[1.0], 1, radius, &[of_all(0.0, &[Slack { reach, ..EXACT }])]).unwrap()
    };
    assert_eq!(within(2.0, 2.0), [1.0, 1.0]);
    assert_eq!(within(2.0, 2.1), [f64::NEG_INFINITY, f64::INFINITY]);
    assert_eq!(within(0.0, 0.0), [f64::NEG_INFINITY, f64::INFINITY]);
    let slack = [Slack { reach: 0.25, ..EXACT }];
    assert_eq!(sign_radii_rounded_down(&[9.0], 1, &[of_all(1.0, &slack)]), Ok(vec![0.25]));
}

#[test]
fn no_samples_have_no_bounds_and_what_is_none_is_refused() {
    assert_eq!(sign_radii_rounded_down(&[], 3, &[of_all(1.0, &[])]), Ok(Vec::new()));
    let refused = |outputs: &[f64], width, radius, bound: OutputBound<'_>| {
        intervals_rounded_outward(outputs, width, radius, &[bound]).unwrap_err().code
    };
    let one = of_all(1.0, &[EXACT]);
    assert_eq!(refused(&[1.0, 2.0, 3.0], 2, 1.0, one), Code::ShapeMismatch);
    assert_eq!(refused(&[1.0], 0, 1.0, one), Code::ShapeMismatch);
    assert_eq!(refused(&[1.0, 2.0], 1, 1.0, one), Code::ShapeMismatch);
    assert_eq!(refused(&[f64::NAN], 1, 1.0, one), Code::NonFinite);
    assert_eq!(refused(&[1.0], 1, -1.0, one), Code::InvalidArgument);
    assert_eq!(refused(&[1.0], 1, f64::NAN, one), Code::InvalidArgument);
    assert_eq!(refused(&[1.0], 1, 1.0, of_all(f64::NAN, &[EXACT])), Code::InvalidArgument);
    assert_eq!(refused(&[1.0], 1, 1.0, OutputBound { norms: Some(&[1.0, 1.0]), ..one }), Code::ShapeMismatch);
    assert_eq!(refused(&[1.0], 1, 1.0, OutputBound { norms: Some(&[-1.0]), ..one }), Code::InvalidArgument);
}
