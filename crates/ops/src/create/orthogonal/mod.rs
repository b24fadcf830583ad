//! Random matrices with orthonormal rows or columns, for initialization.
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp};

use crate::create::philox::normal;
use crate::support::{Work, operands, vectorized};

/// `orthogonal`: f32 `[rows, cols]`, of which the fewer, rows or columns, are orthonormal. It is the factor Q of the QR
/// decomposition with positive diagonal of R of a normal matrix, and so uniform (Haar; Mezzadri 2007), as in PyTorch's
/// `orthogonal_`. Computed in f64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orthogonal {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Low and high 32 bits.
    pub seed: [u32; 2],
}

impl Orthogonal {
    /// The elements, row-major.
    fn elements(&self) -> Vec<f64> {
        let [rows, cols] = self.shape;
        let (count, length) = (rows.min(cols), rows.max(cols));
        let mut vectors: Vec<f64> = (0..).flat_map(|block| normal(block, self.seed)).take(count * length).collect();
        if length > 0 {
            vectorized(GramSchmidt { vectors: &mut vectors, length });
        }
        if rows <= cols {
            return vectors;
        }
        (0..rows * cols).map(|i| vectors[i % cols * length + i / cols]).collect()
    }
}

/// Orthonormalizes vectors one after another; projecting twice is enough for full accuracy (Giraud et al. 2005).
struct GramSchmidt<'a> {
    vectors: &'a mut [f64],
    length: usize,
}

impl Work for GramSchmidt<'_> {
    #[inline(always)]
    fn run(self) {
        let n = self.length;
        for k in 0..self.vectors.len() / n {
            let (done, rest) = self.vectors.split_at_mut(k * n);
            let v = &mut rest[..n];
            // A vector that depends on those before, which has probability 0, is replaced by a unit vector.
            for replacement in 0..=n {
                let before = dot(v, v).sqrt();
                for _ in 0..2 {
                    for q in done.chunks_exact(n) {
                        let along = dot(q, v);
                        v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
                    }
                }
                let norm = dot(v, v).sqrt();
                if norm > 1e-10 * before {
                    v.iter_mut().for_each(|v| *v /= norm);
                    break;
                }
                v.iter_mut().enumerate().for_each(|(i, v)| *v = f64::from(u8::from(i == replacement)));
            }
        }
    }
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

impl Op for Orthogonal {
    fn name(&self) -> &'static str {
        "orthogonal"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [] = operands(inputs)?;
        if self.shape.contains(&0) {
            return Err(Error::shape(format!("a matrix of shape {:?} has no rows or no columns", self.shape)));
        }
        Ok(Spec::f32(self.shape))
    }

    fn vjp(&self, _vjp: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        ArrayD::from_shape_vec(output.shape.clone(), self.elements())
            .unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    fn samples(&self, _inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        Samples::Whole
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Unknown
    }

    fn cpu(&self, mut call: Call<'_>) {
        call.output.f32().iter_mut().zip(self.elements()).for_each(|(y, value)| *y = value as f32);
    }

    fn gpu(&self, _inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        Ok(Form::Host)
    }

    fn flops(&self, _inputs: &[&[usize]], output: &[usize]) -> u64 {
        (4 * output.iter().product::<usize>() * output.iter().min().unwrap_or(&0)) as u64
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::case;
    let shapes = [[1, 1], [3, 3], [5, 2], [2, 17], [40, 33]];
    shapes.map(|shape| case("orthogonal", json!({ "shape": shape, "seed": [3, 1] }), []).not_smooth()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of sums of a few hundred products of numbers below 1 in f64.
    const ORTHONORMAL: f64 = 1e-14;

    #[test]
    fn the_fewer_of_rows_and_columns_are_orthonormal() {
        for [rows, cols] in [[1, 1], [64, 64], [100, 37], [37, 100], [9, 200]] {
            let q = ndarray::Array2::from_shape_vec(
                [rows, cols],
                Orthogonal { shape: [rows, cols], seed: [1, 2] }.elements(),
            );
            let q = q.unwrap();
            let gram = if rows <= cols { q.dot(&q.t()) } else { q.t().dot(&q) };
            let error =
                (&gram - &ndarray::Array2::<f64>::eye(rows.min(cols))).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            assert!(error < ORTHONORMAL, "{rows} x {cols}: {error:e}");
        }
    }

    #[test]
    fn entries_are_as_often_positive_as_negative_as_under_the_haar_measure() {
        let corner = |seed| Orthogonal { shape: [3, 3], seed: [seed, 0] }.elements();
        let signs = (0..4000).fold([0.0; 9], |mut sums, seed| {
            corner(seed).iter().zip(&mut sums).for_each(|(v, s)| *s += v.signum());
            sums
        });
        // Five standard deviations of a sum of 4,000 fair signs.
        assert!(signs.iter().all(|s| s.abs() < 5.0 * 4000_f64.sqrt()), "{signs:?}");
    }

    #[test]
    fn dependent_vectors_are_replaced() {
        let mut vectors = vec![1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 0.0, 0.0, 0.0];
        vectorized(GramSchmidt { vectors: &mut vectors, length: 3 });
        for (i, a) in vectors.chunks(3).enumerate() {
            for (j, b) in vectors.chunks(3).enumerate() {
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((dot(a, b) - want).abs() < ORTHONORMAL);
            }
        }
    }
}
