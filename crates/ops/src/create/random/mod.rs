//! Random numbers that depend on their seed and their position alone.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::{Elementwise, Form};
use tslip_graph::{Accuracy, Call, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::create::philox::{normal, uniform};
use crate::support::operands;

/// `random`: f32 of `shape`. Element i, in row-major order, is number i of the seed's Philox 4x32-10 sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// Extents of the result.
    pub shape: Vec<usize>,
    /// Which numbers.
    pub distribution: Distribution,
    /// Low and high 32 bits.
    pub seed: [u32; 2],
}

/// What the numbers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// In [0, 1), multiples of 2^-24.
    Uniform,
    /// Mean 0, variance 1.
    Normal,
}

impl Random {
    fn blocks(&self) -> impl Iterator<Item = [f64; 4]> {
        let Random { distribution, seed, .. } = *self;
        (0..).map(move |block| match distribution {
            Distribution::Uniform => uniform(block, seed),
            Distribution::Normal => normal(block, seed),
        })
    }
}

impl Op for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [] = operands(inputs)?;
        Ok(Spec::f32(self.shape.clone()))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let values = self.blocks().flatten().take(output.len()).collect();
        ArrayD::from_shape_vec(output.shape.clone(), values).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        for (y, block) in call.output.f32().chunks_mut(4).zip(self.blocks()) {
            y.iter_mut().zip(block).for_each(|(y, value)| *y = value as f32);
        }
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(match self.distribution {
            Distribution::Uniform => Elementwise::of("tslip_uniform($i, $w0, $w1)")
                .calls(include_str!("../philox.wgsl"))
                .word(self.seed[0])
                .word(self.seed[1])
                .form(),
            // Their logarithms and cosines are those of the CPU.
            Distribution::Normal => Form::Host,
        })
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::case;
    let shapes = [json!([]), json!([7]), json!([3, 4, 5]), json!([0])];
    let both = shapes.into_iter().flat_map(|shape| ["uniform", "normal"].map(|d| (shape.clone(), d)));
    both.map(|(shape, distribution)| {
        let attributes = json!({ "shape": shape, "distribution": distribution, "seed": [7, 4_000_000_000_u32] });
        case("random", attributes, []).not_smooth()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_tensor_begins_with_the_same_numbers_and_another_seed_gives_others() {
        for distribution in [Distribution::Uniform, Distribution::Normal] {
            let make = |n: usize, seed| Random { shape: vec![n], distribution, seed }.reference(&[], &Spec::f32([n]));
            let (short, long) = (make(6, [1, 0]), make(9, [1, 0]));
            assert!(short.iter().zip(&long).all(|(a, b)| a == b));
            assert!(short.iter().zip(&make(6, [1, 1])).all(|(a, b)| a != b));
            assert!(short.iter().zip(&make(6, [2, 0])).all(|(a, b)| a != b));
        }
    }
}
