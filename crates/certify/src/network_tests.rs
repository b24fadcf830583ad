//! How the bounds of layers make up that of a network.
use super::*;
use crate::error::Code;

fn layer(from: usize, lipschitz: f64) -> Step {
    let layer =
        RoundedLayer { lipschitz, gain: 0.0, roundings: 0, offset: 0.0, peak: 0.0, copies: 1, lost: 0.0, results: 1 };
    Step::Layer { from, layer }
}

fn chain(bounds: &[f64]) -> Vec<Step> {
    bounds.iter().enumerate().map(|(i, &bound)| layer(i, bound)).collect()
}

#[test]
fn a_chain_of_one_lipschitz_layers_is_one_lipschitz() {
    assert_eq!(lipschitz_upper(&chain(&[1.0; 20])), Ok(1.0));
    assert_eq!(lipschitz_upper(&[]), Ok(1.0));
}

#[test]
fn the_product_is_above_the_exact_one() {
    // 0.1 is 3602879701896397 / 2^55 in float64, so that the exact square is an integer over 2^110.
    let exact = 3_602_879_701_896_397u128.pow(2);
    let bound = lipschitz_upper(&chain(&[0.1; 2])).unwrap();
    assert!((bound * 2f64.powi(110)) as u128 >= exact, "{bound}");
    assert!(bound <= 0.1 * 0.1 * (1.0 + 2.0 * f64::EPSILON));
}

#[test]
fn a_layer_that_ignores_its_input_makes_the_chain_constant() {
    assert_eq!(lipschitz_upper(&chain(&[3.0, 0.0, 2.0])), Ok(0.0));
}

#[test]
fn bounds_of_branches_add_up_and_side_by_side_their_squares_do() {
    let branches = [layer(0, 3.0), layer(0, 4.0)];
    let sum = lipschitz_upper(&[&branches[..], &[Step::Sum { from: vec![1, 2] }]].concat()).unwrap();
    assert!((7.0..7.0 + 1e-14).contains(&sum), "{sum}");
    let both = lipschitz_upper(&[&branches[..], &[Step::Concat { from: vec![1, 2] }]].concat()).unwrap();
    assert!((5.0..5.0 + 1e-14).contains(&both), "{both}");
    // The input beside a layer of it, as in a residual block, and a layer of that.
    let steps = [layer(0, 0.5), Step::Sum { from: vec![0, 1] }, layer(2, 2.0)];
    let block = lipschitz_upper(&steps).unwrap();
    assert!((3.0..3.0 + 1e-14).contains(&block), "{block}");
}

#[test]
fn what_is_no_network_is_refused() {
    let code = |steps: &[Step]| lipschitz_upper(steps).unwrap_err().code;
    assert_eq!(code(&chain(&[1.0, -0.5])), Code::InvalidArgument);
    assert_eq!(code(&chain(&[1.0, f64::NAN])), Code::NonFinite);
    assert_eq!(code(&chain(&[1e200, 1e200])), Code::NonFinite);
    assert_eq!(code(&[layer(1, 1.0)]), Code::InvalidArgument);
    assert_eq!(code(&[Step::Sum { from: vec![] }]), Code::InvalidArgument);
    assert_eq!(code(&[layer(0, 1.0), Step::Concat { from: vec![0, 2] }]), Code::InvalidArgument);
}
