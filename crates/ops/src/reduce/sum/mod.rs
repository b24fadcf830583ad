//! Sums over axes.
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_graph::gpu::Form;
use tslip_graph::{
    Accuracy, Arranged, Call, DType, Data, DataMut, Error, NodeId, Op, Operand, Result, Samples, Spec, Vjp,
};

use super::axes::{Axes, Run, elements, results};
use super::gpu;
use crate::support::{Work, operands, vectorized};

/// `sum`: x, f32 or i32, summed over `axes`. Floats are added in blocks, so that the error grows with the logarithm of
/// their number where they lie together, and in blocks of `BLOCK` where they do not; integers wrap around.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sum(pub Axes);

/// So many rows are added up before they are added to the sum of earlier ones.
const BLOCK: usize = 32;
/// Neighbouring elements of which fewer are added up plainly, in `LANES` sums.
const LEAF: usize = 512;
const LANES: usize = 16;
/// Rows that are added up side by side.
const TURNS: usize = 4;

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn attributes(&self) -> Value {
        json!(self)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x] = operands(inputs)?;
        self.0.check(&x.shape)?;
        if !matches!(x.dtype, DType::F32 | DType::I32) {
            return Err(Error::dtype(format!("the operand is {}, f32 or i32 is needed: use cast(\"f32\")", x.dtype)));
        }
        Ok(Spec::new(self.0.output(&x.shape), x.dtype))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let shape = v.graph.shape(v.inputs[0]).to_vec();
        Ok(vec![Some(self.0.spread(v.graph, v.cotangent, &shape)?)])
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let mut axes = self.0.axes.clone();
        axes.sort_unstable();
        let y = axes.iter().rev().fold(inputs[0].clone(), |x, &axis| x.sum_axis(Axis(axis)));
        y.into_shape_with_order(output.shape.clone()).unwrap_or_else(|e| unreachable!("the inferred shape: {e}"))
    }

    /// Slots of samples are added up as floats, so integers are summed at once.
    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        match (self.0.axes.contains(&0), inputs[0].spec.dtype) {
            (true, DType::F32) => Samples::Sum { sliced: vec![true] },
            (true, _) => Samples::Whole,
            (false, _) => Samples::PerSample { sliced: vec![true] },
        }
    }

    fn permuted(&self, axes: &[usize], _inputs: &[&Spec]) -> Option<Arranged> {
        Some(self.0.permuted(axes, |moved| Arc::new(Sum(moved))))
    }

    /// Two levels of partial sums where rows are added.
    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        let runs = self.0.runs(inputs[0]);
        let inner = runs.iter().position(|r| r.reduced).map_or(&[][..], |first| &runs[first..]);
        if cascades(inner) { 2 * results(inner) } else { 0 }
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, call: Call<'_>) {
        let runs = self.0.runs(call.inputs[0].shape);
        match (call.inputs[0].data, call.output.data) {
            (Data::F32(x), DataMut::F32(y)) => vectorized(Floats { runs: &runs, x, y, scratch: call.scratch }),
            (Data::I32(x), DataMut::I32(y)) => add_integers(&runs, x, y),
            _ => unreachable!("shape inference admits f32 and i32"),
        }
    }

    fn gpu(&self, inputs: &[&Spec], output: &Spec) -> Result<Form> {
        Ok(gpu::form(gpu::Operation::Sum, &self.0, inputs[0], output))
    }

    fn flops(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        inputs[0].iter().product::<usize>() as u64
    }
}

/// Whether there are rows (not single elements) to add up and so many that partial sums are kept.
fn cascades(runs: &[Run]) -> bool {
    runs.len() > 1 && runs[0].count > BLOCK
}

struct Floats<'a> {
    runs: &'a [Run],
    x: &'a [f32],
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Work for Floats<'_> {
    #[inline(always)]
    fn run(self) {
        let Floats { runs, x, y, scratch } = self;
        // Leading axes that stay are separate sums.
        let (count, inner) = match runs {
            [Run { count, reduced: false }, inner @ ..] => (*count, inner),
            all => (1, all),
        };
        if count == 0 || elements(inner) == 0 {
            return;
        }
        for (x, y) in x.chunks_exact(elements(inner)).zip(y.chunks_exact_mut(results(inner))) {
            if !cascades(inner) {
                add(inner, x, y);
                continue;
            }
            let row = elements(&inner[1..]);
            let (block, total) = scratch.split_at_mut(results(inner));
            total.fill(0.0);
            for (i, rows) in x.chunks(BLOCK * row).enumerate() {
                block.fill(0.0);
                match inner {
                    [_, Run { reduced: false, .. }] => add_rows(rows, block),
                    _ => rows.chunks_exact(row).for_each(|row| add(&inner[1..], row, block)),
                }
                add_row(block, total);
                if i % BLOCK == BLOCK - 1 {
                    add_row(total, y);
                    total.fill(0.0);
                }
            }
            add_row(total, y);
        }
    }
}

/// Adds the sums over the reduced runs to `y`.
#[inline(always)]
fn add(runs: &[Run], x: &[f32], y: &mut [f32]) {
    match runs {
        [] => y[0] += x[0],
        [Run { reduced: true, .. }] => y[0] += total(x),
        [Run { reduced: false, .. }] => add_row(x, y),
        [Run { reduced: true, .. }, Run { reduced: false, .. }] => add_rows(x, y),
        [Run { count, reduced: false }, Run { reduced: true, .. }] => {
            y.iter_mut().zip(x.chunks_exact(x.len() / count)).for_each(|(y, row)| *y += total(row));
        }
        _ => nested(runs, x, y),
    }
}

/// Three or more alternations: rare, and not worth being compiled into every loop.
fn nested(runs: &[Run], x: &[f32], y: &mut [f32]) {
    let Run { count, reduced } = runs[0];
    let (from, to) = (x.len() / count, if reduced { 0 } else { y.len() / count });
    let size = if reduced { y.len() } else { to };
    for i in 0..count {
        add(&runs[1..], &x[i * from..(i + 1) * from], &mut y[i * to..i * to + size]);
    }
}

/// Adds all rows: in `TURNS` sums for each column, so that they do not wait for one another.
#[inline(always)]
fn add_rows(x: &[f32], y: &mut [f32]) {
    let columns = y.len();
    let whole = columns / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        let mut sums = [[0.0; LANES]; TURNS];
        let mut turns = x.chunks_exact(TURNS * columns);
        for rows in turns.by_ref() {
            for (turn, sum) in sums.iter_mut().enumerate() {
                let row = &rows[turn * columns + first..][..LANES];
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        for row in turns.remainder().chunks_exact(columns) {
            sums[0].iter_mut().zip(&row[first..][..LANES]).for_each(|(sum, x)| *sum += x);
        }
        for (lane, y) in y[first..][..LANES].iter_mut().enumerate() {
            *y += (sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane]);
        }
    }
    if whole < columns {
        x.chunks_exact(columns).for_each(|row| add_row(&row[whole..], &mut y[whole..]));
    }
}

#[inline(always)]
fn add_row(x: &[f32], y: &mut [f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// The sum of neighbouring elements: leaves of `LEAF`, added up pairwise as their number is counted in binary.
#[inline(always)]
fn total(x: &[f32]) -> f32 {
    if x.len() <= LEAF {
        return leaf(x);
    }
    // Level k holds the sum of 2^k leaves if bit k of their number is set.
    let mut levels = [0.0; usize::BITS as usize];
    for (index, part) in x.chunks(LEAF).enumerate() {
        let mut sum = leaf(part);
        let carries = (index + 1).trailing_zeros() as usize;
        for level in &mut levels[..carries] {
            sum += std::mem::take(level);
        }
        levels[carries] = sum;
    }
    levels.iter().sum()
}

#[inline(always)]
fn leaf(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let rows = x.chunks_exact(LANES);
    let rest = rows.remainder();
    for row in rows {
        for (lane, x) in lanes.iter_mut().zip(row) {
            *lane += x;
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

fn add_integers(runs: &[Run], x: &[i32], y: &mut [i32]) {
    match runs {
        _ if x.is_empty() => {}
        [] => y[0] = y[0].wrapping_add(x[0]),
        [Run { count, reduced }, inner @ ..] => {
            let from = x.len() / count;
            let (to, size) = if *reduced { (0, y.len()) } else { (y.len() / count, y.len() / count) };
            for i in 0..*count {
                add_integers(inner, &x[i * from..(i + 1) * from], &mut y[i * to..i * to + size]);
            }
        }
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use super::axes::each_case;
    use crate::testing::case::{SUMMED, case, integers, normal};
    let shapes: [&[usize]; 7] = [&[], &[1], &[2, 3, 4], &[4, 3, 2, 5], &[6, 1, 3], &[0, 3], &[3, 0]];
    let some = each_case(&shapes);
    let mut all: Vec<_> = some.iter().map(|(shape, axes)| case("sum", json!(axes), [normal(shape)])).collect();
    let large = each_case(&[&[3000], &[1200, 3], &[3, 1200], &[4, 70, 5], &[40, 3, 50, 2], &[2, 40, 3, 7]]);
    all.extend(large.iter().map(|(shape, axes)| case("sum", json!(axes), [normal(shape)]).not_smooth()));
    let mut all: Vec<_> = all.into_iter().map(|c| c.within(SUMMED)).collect();
    all.extend(some.iter().map(|(shape, axes)| case("sum", json!(axes), [integers(shape, -99, 99)]).not_smooth()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::kernel;

    /// Relative error of sums of up to 2^22 equal floats; one running sum in f32 errs by 1e-2 and more.
    const BLOCKWISE: f64 = 2e-5;

    #[test]
    fn millions_of_equal_floats_are_summed_accurately_along_every_axis() {
        for (shape, axes) in
            [(vec![1 << 22], vec![0]), (vec![1 << 20, 4], vec![0]), (vec![1 << 11, 2, 1 << 10], vec![0, 2])]
        {
            let op = Sum(Axes { axes, keepdims: false });
            let x = ArrayD::from_elem(shape.clone(), f64::from(0.1_f32));
            let spec = Spec::f32(shape);
            let output = op.infer(&[&spec]).unwrap();
            let got = kernel::whole(&op, &[kernel::Operand::new(&x, DType::F32)], &output).array(&output.shape);
            let want = op.reference(&[&x], &output);
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < BLOCKWISE * w, "{:?}: {g} instead of {w}", spec.shape);
            }
        }
    }
}
