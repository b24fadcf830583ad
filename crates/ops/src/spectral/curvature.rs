//! Second derivatives of the spectral norm and of Björck orthonormalization, as ordinary nodes, which have derivatives of every order.
use tslip_graph::{Graph, NodeId, Result};

use super::bjorck::Bjorck;
use super::spectral_norm::SpectralNorm;
use crate::emit::Emit;

/// Squarings of a power series: singular values that differ by 1e-6 of the largest are still told apart.
const SQUARINGS: usize = 22;

/// Matrices that stand, with more rows than columns, are laid down, so that A Bᵀ is the small product; and back.
#[derive(Clone, Copy)]
struct Turn {
    stands: bool,
}

impl Turn {
    fn of(graph: &Graph, matrix: NodeId) -> Self {
        Turn { stands: graph.shape(matrix)[0] > graph.shape(matrix)[1] }
    }

    fn turn(self, graph: &mut Graph, matrix: NodeId) -> Result<NodeId> {
        if self.stands { graph.permute(matrix, &[1, 0]) } else { Ok(matrix) }
    }
}

/// A Bᵀ + B Aᵀ.
fn symmetric(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let [ab, ba] = [graph.matmul_transposed(a, b)?, graph.matmul_transposed(b, a)?];
    graph.add(ab, ba)
}

/// A sum of products A B.
fn products(graph: &mut Graph, factors: &[[NodeId; 2]]) -> Result<NodeId> {
    let mut sum = None;
    for &[a, b] in factors {
        let product = graph.matmul(a, b)?;
        sum = Some(sum.map_or(Ok(product), |sum| graph.add(sum, product))?);
    }
    sum.map_or_else(|| graph.scalar(0.0), Ok)
}

/// One iteration f(W) = (1 + b) W - b W Wᵀ W and its derivatives.
struct Iteration {
    w: NodeId,
    /// W Wᵀ.
    gram: NodeId,
    beta: f64,
}

impl Iteration {
    fn new(graph: &mut Graph, w: NodeId, beta: f64) -> Result<Self> {
        Ok(Iteration { w, gram: graph.matmul_transposed(w, w)?, beta })
    }

    /// (1 + b) A - b (the cubic part).
    fn step(&self, graph: &mut Graph, linear: NodeId, cubic: NodeId) -> Result<NodeId> {
        let [linear, cubic] = [graph.scale(linear, 1.0 + self.beta)?, graph.scale(cubic, self.beta)?];
        graph.sub(linear, cubic)
    }

    fn value(&self, graph: &mut Graph) -> Result<NodeId> {
        let cubic = graph.matmul(self.gram, self.w)?;
        self.step(graph, self.w, cubic)
    }

    /// f'(W) C; the operator is symmetric.
    fn derivative(&self, graph: &mut Graph, c: NodeId) -> Result<NodeId> {
        let both = symmetric(graph, c, self.w)?;
        let cubic = products(graph, &[[both, self.w], [self.gram, c]])?;
        self.step(graph, c, cubic)
    }

    /// f''(W)(C, L), of which the inner product with a third matrix is the same in any order of the three.
    fn second(&self, graph: &mut Graph, c: NodeId, l: NodeId) -> Result<NodeId> {
        let [cl, cw, lw] = [symmetric(graph, c, l)?, symmetric(graph, c, self.w)?, symmetric(graph, l, self.w)?];
        let cubic = products(graph, &[[cl, self.w], [cw, l], [lw, c]])?;
        graph.scale(cubic, -self.beta)
    }
}

/// Cotangents of the operands w and d of `bjorck_grad`, given that of its result.
pub fn of_bjorck_grad(graph: &mut Graph, op: &Bjorck, [w, d, c]: [NodeId; 3]) -> Result<[Option<NodeId>; 2]> {
    let turn = Turn::of(graph, w);
    let (mut value, mut tangent) = (turn.turn(graph, w)?, turn.turn(graph, c)?);
    let mut path = Vec::with_capacity(op.iterations);
    for _ in 0..op.iterations {
        let iteration = Iteration::new(graph, value, op.beta)?;
        value = iteration.value(graph)?;
        path.push((tangent, iteration));
        tangent = path[path.len() - 1].1.derivative(graph, tangent)?;
    }
    // The inner product of the result and c is that of d and the last tangent: backwards from there.
    let (mut of_tangent, mut of_value) = (turn.turn(graph, d)?, None);
    for (tangent, iteration) in path.iter().rev() {
        let mut sum = iteration.second(graph, *tangent, of_tangent)?;
        if let Some(after) = of_value {
            let passed = iteration.derivative(graph, after)?;
            sum = graph.add(passed, sum)?;
        }
        of_value = Some(sum);
        of_tangent = iteration.derivative(graph, of_tangent)?;
    }
    let of_w = of_value.map(|sum| turn.turn(graph, sum)).transpose()?;
    Ok([of_w, Some(turn.turn(graph, tangent)?)])
}

/// Cotangent of the operand w of `spectral_norm_grad`, given its result and the cotangent c of that.
///
/// Let s be the norm, D = u vᵀ, and V = W / s - D what the other singular triples make. Along C the singular vectors move by
/// s du = (I - V Vᵀ)^-1 ((I - u uᵀ) C v + V Cᵀ u) and s dv = (I - Vᵀ V)^-1 ((I - v vᵀ) Cᵀ u + Vᵀ C v), of which the second inverse is
/// I + Vᵀ (I - V Vᵀ)^-1 V; D moves by du vᵀ + u dvᵀ, and that operator is symmetric. Where singular values tie the result is finite.
pub fn of_norm_grad(graph: &mut Graph, w: NodeId, direction: NodeId, c: NodeId) -> Result<NodeId> {
    let turn = Turn::of(graph, w);
    let norm = graph.emit(SpectralNorm {}, &[w])?;
    let [zero, one] = [graph.scalar(0.0)?, graph.scalar(1.0)?];
    let positive = graph.less(zero, norm)?;
    let norm = graph.select(positive, norm, one)?;
    let unit = graph.div(w, norm)?;
    let rest = graph.sub(unit, direction)?;
    let [d, v, c] = [turn.turn(graph, direction)?, turn.turn(graph, rest)?, turn.turn(graph, c)?];

    let [cd, dc] = [graph.matmul_transposed(c, d)?, graph.matmul_transposed(d, c)?];
    let [dd, vc] = [graph.matmul_transposed(d, d)?, graph.matmul_transposed(v, c)?];
    let [cdd, ddc] = [graph.matmul(cd, d)?, graph.matmul(dd, c)?];
    let along = graph.matmul(dd, cdd)?;
    let [left, right] = [graph.sub(cdd, along)?, graph.sub(ddc, along)?];
    let [of_left, of_right] = [graph.matmul(vc, d)?, graph.matmul(dc, v)?];
    let [left, right] = [graph.add(left, of_left)?, graph.add(right, of_right)?];

    let series = power_series(graph, v)?;
    let passed = graph.matmul_transposed(right, v)?;
    let passed_on = graph.matmul(passed, series)?;
    let sum = products(graph, &[[series, left], [passed, v], [passed_on, v]])?;
    let sum = graph.add(sum, left)?;
    let sum = graph.add(sum, right)?;
    let sum = turn.turn(graph, sum)?;
    graph.div(sum, norm)
}

/// (I - V Vᵀ)^-1 - I, the sum of all powers of V Vᵀ: twice as many terms with each squaring.
fn power_series(graph: &mut Graph, v: NodeId) -> Result<NodeId> {
    let mut power = graph.matmul_transposed(v, v)?;
    let mut sum = power;
    for _ in 0..SQUARINGS {
        power = graph.matmul(power, power)?;
        let further = graph.matmul(sum, power)?;
        sum = graph.add(sum, power)?;
        sum = graph.add(sum, further)?;
    }
    Ok(sum)
}
