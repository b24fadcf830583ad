//! What the cases of single ops do not show: tapes, values read from gradients, shared dispatches, and how sharp the norm is.
use ndarray::{Array2, ArrayD};
use serde_json::{Value, json};
use std::collections::HashMap;
use tslip_gpu::Store;
use tslip_graph::autodiff::gradients;
use tslip_graph::gpu::{Form, Kernel};
use tslip_graph::reference::evaluate;
use tslip_graph::{Graph, NodeId, Result, Spec};

use super::bjorck::Tape;
use super::{OUTPUT, Weight};
use crate::spectral::top_singular;
use crate::testing::by_name;
use crate::testing::case::{Numbers, Tolerance};
use crate::testing::every_op::compare;
use crate::testing::gpu::{gpu, outputs};

/// Rounding of a Gram matrix of f32 and of the weight itself: a few units of 6e-8.
const ROUNDING: f64 = 4e-7;
/// The excess of the Schatten norm where singular values tie or nearly tie.
const TIES: f64 = 2e-6;
/// Fifteen iterations amplify the rounding of a small singular direction by 440.
const AMPLIFIED: Tolerance = Tolerance { of_element: 1e-5, of_largest: 1e-4, absolute: 1e-5 };

/// Nothing is amplified at a weight that is nearly orthonormal.
const NEARLY_ORTHONORMAL: Tolerance = Tolerance { of_element: 0.0, of_largest: 5e-6, absolute: 5e-6 };

/// Ratios of singular values: from orthonormal, where iterations end at once, to far from it.
const CONDITIONS: [f64; 4] = [1.0, 1.00003, 1.01, 50.0];

const SMALL: [[usize; 2]; 5] = [[1, 1], [16, 25], [9, 4], [64, 576], [300, 10]];
const LARGE: [[usize; 2]; 2] = [[65, 200], [128, 66]];

/// A graph of functions of weights, each a value and its gradient.
struct Network {
    graph: Graph,
    outputs: Vec<NodeId>,
    leaves: HashMap<NodeId, ArrayD<f64>>,
    bytes: Vec<Vec<u8>>,
}

impl Network {
    fn new() -> Self {
        Network { graph: Graph::new(crate::registry()), outputs: vec![], leaves: HashMap::new(), bytes: vec![] }
    }

    /// The norm of a weight, and its gradient.
    fn norm(&mut self, w: &ArrayD<f64>) -> Result<()> {
        let w = self.leaf(w)?;
        let norm = by_name(&mut self.graph, "spectral_norm", &json!({}), &[w])?;
        self.outputs.push(norm);
        self.outputs.extend(gradients(&mut self.graph, norm, &[w])?);
        Ok(())
    }

    /// The weight orthonormalized, and the gradient of its inner product with D.
    fn bjorck(&mut self, attributes: &Value, w: &ArrayD<f64>, d: &ArrayD<f64>) -> Result<()> {
        let (w, d) = (self.leaf(w)?, self.leaf(d)?);
        let unit = by_name(&mut self.graph, "bjorck", attributes, &[w])?;
        let product = by_name(&mut self.graph, "mul", &json!({}), &[unit, d])?;
        let sum = by_name(&mut self.graph, "sum", &json!({ "axes": [0, 1], "keepdims": false }), &[product])?;
        self.outputs.push(unit);
        self.outputs.extend(gradients(&mut self.graph, sum, &[w])?);
        Ok(())
    }

    fn leaf(&mut self, value: &ArrayD<f64>) -> Result<NodeId> {
        let node = self.graph.input(self.bytes.len(), Spec::f32(value.shape()), false)?;
        self.bytes.push(value.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect());
        self.leaves.insert(node, value.mapv(|v| f64::from(v as f32)));
        Ok(node)
    }

    fn on_gpu(&self, store: &mut Store) -> Result<Vec<ArrayD<f64>>> {
        let found = outputs(store, &self.graph, self.outputs.clone(), &self.bytes)?;
        let array = |(bytes, &node): (Vec<u8>, &NodeId)| {
            let floats =
                bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect();
            ArrayD::from_shape_vec(self.graph.shape(node).to_vec(), floats).expect("as many as the shape holds")
        };
        Ok(found.into_iter().zip(&self.outputs).map(array).collect())
    }
}

fn random(numbers: &mut Numbers, shape: [usize; 2]) -> Array2<f64> {
    Array2::from_shape_simple_fn(shape, || numbers.normal())
}

/// Rows of length 1 at right angles: Gram and Schmidt, twice.
fn orthonormal(numbers: &mut Numbers, shape: [usize; 2]) -> Array2<f64> {
    let mut q = random(numbers, shape);
    for i in (0..shape[0]).chain(0..shape[0]) {
        for before in 0..i {
            let overlap = q.row(i).dot(&q.row(before));
            let along = overlap * &q.row(before);
            q.row_mut(i).zip_mut_with(&along, |v, a| *v -= a);
        }
        let norm = q.row(i).dot(&q.row(i)).sqrt();
        q.row_mut(i).mapv_inplace(|v| v / norm);
    }
    q
}

/// U diag(s) Vᵀ with random U and V.
fn with_singular_values(numbers: &mut Numbers, [m, n]: [usize; 2], s: impl Fn(usize, usize) -> f64) -> Array2<f64> {
    let p = m.min(n);
    let (mut u, v) = (orthonormal(numbers, [p, m]), orthonormal(numbers, [p, n]));
    u.rows_mut().into_iter().enumerate().for_each(|(i, mut row)| row.mapv_inplace(|x| x * s(i, p)));
    u.t().dot(&v)
}

#[test]
fn orthonormalized_weights_and_gradients_from_their_tapes_agree_with_the_reference() {
    let Some(device) = gpu() else { return };
    let (mut store, mut numbers) = (Store::new(device).unwrap(), Numbers(1));
    for (iterations, beta) in [(0, 0.5), (1, 0.5), (4, 0.3), (15, 0.5), (17, 0.25)] {
        let mut network = Network::new();
        for shape in SMALL.into_iter().chain([LARGE[1]]) {
            for condition in CONDITIONS {
                let s = |i: usize, p: usize| f64::powf(condition, -(i as f64) / p as f64);
                let w = with_singular_values(&mut numbers, shape, s).into_dyn();
                let attributes = json!({ "iterations": iterations, "beta": beta });
                network.bjorck(&attributes, &w, &random(&mut numbers, shape).into_dyn()).unwrap();
            }
        }
        let wanted = evaluate(&network.graph, &network.leaves, &network.outputs);
        for (k, (found, wanted)) in network.on_gpu(&mut store).unwrap().iter().zip(&wanted).enumerate() {
            let far = k / 2 % CONDITIONS.len() == CONDITIONS.len() - 1;
            let tolerance = if far { AMPLIFIED } else { NEARLY_ORTHONORMAL };
            compare(found, wanted, tolerance).unwrap_or_else(|e| {
                let (what, shape) = (["value", "gradient"][k % 2], wanted.shape());
                panic!("{what} of weight {}, {shape:?}, {iterations} iterations of {beta}: {e}", k / 2)
            });
        }
    }
}

#[test]
fn the_norm_is_never_low_and_hardly_high_whatever_the_spectrum_and_the_scale() {
    let Some(device) = gpu() else { return };
    let (mut store, mut numbers) = (Store::new(device).unwrap(), Numbers(2));
    type Spectrum = fn(usize, usize) -> f64;
    let spectra: [Spectrum; 8] = [
        |_, _| 1.0,
        |i, _| 1.0 - 1e-7 * i as f64,
        |i, _| 1.0 - 1e-6 * i as f64,
        |i, _| 1.0 - 1e-5 * i as f64,
        |i, _| 1.0 - 1e-4 * i as f64,
        |i, _| 1.0 - 1e-3 * i as f64,
        |i, p| f64::powf(1e6, -(i as f64) / p as f64),
        |i, _| if i < 3 { 1.0 } else { 0.0 },
    ];
    let (mut weights, mut network) = (Vec::new(), Network::new());
    for shape in SMALL.into_iter().chain(LARGE) {
        for (k, spectrum) in spectra.into_iter().enumerate() {
            let scale = [1.0, 1e-36, 1e36][k % 3];
            let w = with_singular_values(&mut numbers, shape, spectrum).mapv(|v| f64::from((v * scale) as f32));
            network.norm(&w.clone().into_dyn()).unwrap();
            weights.push(w);
        }
    }
    let beside_gradients = network.on_gpu(&mut store).unwrap();
    network.outputs = network.outputs.iter().copied().step_by(2).collect();
    let by_themselves = network.on_gpu(&mut store).unwrap();
    for (k, w) in weights.iter().enumerate() {
        let sigma = top_singular(w).0;
        for (norm, how) in [(&by_themselves[k], "by itself"), (&beside_gradients[2 * k], "beside its gradient")] {
            let error = norm.sum() / sigma - 1.0;
            let name = format!("{:?}, spectrum {}, {how}", w.dim(), k % spectra.len());
            assert!((-ROUNDING..ROUNDING + TIES).contains(&error), "{name}: {error:e}");
        }
    }
}

#[test]
fn weights_of_all_shapes_whose_gram_matrix_is_one_tile_share_their_dispatches() {
    let options = json!({ "iterations": 15, "beta": 0.5 });
    for (op, attributes) in [("bjorck", &options), ("bjorck_grad", &options), ("spectral_norm", &json!({}))] {
        let kernels = |shape: &[usize; 2]| -> Vec<Kernel> {
            let (op, spec) = (crate::registry().make(op, attributes).unwrap(), Spec::f32(*shape));
            match op.gpu(&[&spec, &spec], &spec).unwrap() {
                Form::Kernels(launches) => launches.into_iter().map(|launch| launch.kernel).collect(),
                other => panic!("{op:?} is {other:?}"),
            }
        };
        for shape in &SMALL {
            assert_eq!(kernels(shape), kernels(&SMALL[0]), "{op} {shape:?}");
        }
    }
}

#[test]
fn a_tape_fits_the_memory_that_the_op_gives_it() {
    for shape in SMALL {
        for iterations in [1, 2, 5, 6, 15, 16] {
            let weight = Weight::new(&shape);
            let tape = Tape::kept(&weight, iterations, OUTPUT);
            let end = tape.power.0.after(iterations * weight.small());
            assert_eq!(end.offset, Tape::words(&weight, iterations), "{shape:?}, {iterations} iterations");
        }
    }
}
