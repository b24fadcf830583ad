//! Random numbers that are others in each step of a loop, for the step that a counter names.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::{Elementwise, Form};
use tslip_graph::{Accuracy, Call, DType, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::create::philox::{normal_at, uniform_at};
use crate::create::random::{Distribution, Random};
use crate::elementwise::{EXACT, MATH};
use crate::support::operands;

/// `random_step`: a counter, i32 `[]`, to f32 of `shape`. Element i, in row-major order, is number i of the Philox 4x32-10
/// sequence of the seed and the counter. With a state for a counter each step of a loop draws its own numbers, and a step that
/// is done again draws the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RandomStep(Random);

impl RandomStep {
    fn blocks(&self, step: u32) -> impl Iterator<Item = [f64; 4]> {
        let Random { distribution, seed, .. } = self.0;
        (0..).map(move |block| match distribution {
            Distribution::Uniform => uniform_at(block, step, seed),
            Distribution::Normal => normal_at(block, step, seed),
        })
    }
}

impl Op for RandomStep {
    fn name(&self) -> &'static str {
        "random_step"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [counter] = operands(inputs)?;
        if *counter != Spec::new([], DType::I32) {
            let Spec { shape, dtype } = counter;
            return Err(Error::shape(format!("the counter must be i32 of shape []; it is {dtype} of shape {shape:?}")));
        }
        Ok(Spec::f32(self.0.shape.clone()))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let step = inputs[0].iter().next().map_or(0, |&step| step as i32 as u32);
        let values = self.blocks(step).flatten().take(output.len()).collect();
        ArrayD::from_shape_vec(output.shape.clone(), values).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        let blocks = self.blocks(call.inputs[0].i32()[0] as u32);
        for (y, block) in call.output.f32().chunks_mut(4).zip(blocks) {
            y.iter_mut().zip(block).for_each(|(y, value)| *y = value as f32);
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        let function = match self.0.distribution {
            Distribution::Uniform => Elementwise::of("tslip_uniform_at($i, u32($0), $w0, $w1)"),
            Distribution::Normal => Elementwise::of("tslip_normal_at($i, u32($0), $w0, $w1)").calls(EXACT).calls(MATH),
        };
        let function = function.calls(include_str!("../philox.wgsl"));
        let function = match self.0.distribution {
            Distribution::Uniform => function,
            Distribution::Normal => function.calls(include_str!("normal.wgsl")),
        };
        Ok(function.word(self.0.seed[0]).word(self.0.seed[1]).form())
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{EXACT, Tolerance, case, integers};
    // Near a zero of the cosine the error is one of its argument, which is of size 1.
    let near = Tolerance { of_element: 2e-6, of_largest: 0.0, absolute: 2e-6 };
    let shapes = [json!([]), json!([7]), json!([3, 4, 5]), json!([0]), json!([2000])];
    let both = shapes.into_iter().flat_map(|shape| ["uniform", "normal"].map(|d| (shape.clone(), d)));
    both.flat_map(|(shape, distribution)| {
        let attributes = json!({ "shape": shape, "distribution": distribution, "seed": [7, 4_000_000_000_u32] });
        [(0, 1), (1, 1000), (-5, -1)].map(|(low, high)| {
            let tolerance = if distribution == "uniform" { EXACT } else { near };
            case("random_step", attributes.clone(), [integers(&[], low, high)]).not_smooth().within(tolerance)
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(n: usize, step: i32, seed: [u32; 2], distribution: Distribution) -> Vec<f64> {
        let op = RandomStep(Random { shape: vec![n], distribution, seed });
        let counter = ArrayD::from_elem(vec![], f64::from(step));
        op.reference(&[&counter], &Spec::f32([n])).into_iter().collect()
    }

    #[test]
    fn each_step_has_numbers_of_its_own_and_always_the_same() {
        for distribution in [Distribution::Uniform, Distribution::Normal] {
            let numbers = |step| make(9, step, [1, 0], distribution);
            assert_eq!(numbers(3), numbers(3));
            for other in [0, 1, 2, 4, -3, i32::MIN, i32::MAX] {
                assert!(numbers(3).iter().zip(&numbers(other)).all(|(a, b)| a != b), "{other}");
            }
            assert!(numbers(3).iter().zip(&make(9, 3, [1, 1], distribution)).all(|(a, b)| a != b));
        }
    }

    #[test]
    fn over_the_steps_a_number_has_the_moments_of_its_distribution() {
        // Six standard errors of 100,000 numbers.
        let six_sigma = 6.0 / 100_000f64.sqrt();
        for (distribution, mean, variance) in
            [(Distribution::Uniform, 0.5, 1.0 / 12.0), (Distribution::Normal, 0.0, 1.0)]
        {
            let all: Vec<f64> = (0..100_000).map(|step| make(3, step, [5, 0], distribution)[2]).collect();
            let of = |f: &dyn Fn(f64) -> f64| all.iter().map(|&x| f(x)).sum::<f64>() / all.len() as f64;
            assert!((of(&|x| x) - mean).abs() < six_sigma * f64::sqrt(variance));
            assert!((of(&|x| (x - mean).powi(2)) - variance).abs() < six_sigma * 2.0 * variance);
        }
    }

    #[test]
    fn the_counter_is_one_whole_number() {
        let op = RandomStep(Random { shape: vec![2], distribution: Distribution::Uniform, seed: [0, 0] });
        for wrong in [Spec::f32([]), Spec::new([1], DType::I32)] {
            assert!(op.infer(&[&wrong]).unwrap_err().message.contains("counter"));
        }
    }
}
