//! a to the power of b.
use tslip_graph::{Accuracy, Graph, Measured, NodeId, Result};

use crate::elementwise::binary::Arithmetic;
use crate::elementwise::{EXACT, MATH};
use crate::emit::Emit;

/// `pow` of floats, with broadcasting. The gradient with respect to a is finite at a = 0 for b = 0 and b >= 1; with
/// respect to b it is 0 there, and NaN for a < 0 as the logarithm is.
#[derive(Debug)]
pub struct Pow;

impl Arithmetic for Pow {
    const NAME: &'static str = "pow";
    const ACCURACY: Accuracy = Accuracy::Function(Measured::Pow, 1.0);
    const WGSL: &'static str = "tslip_pow($0, $1)";
    const FUNCTIONS: &'static [&'static str] = &[EXACT, MATH];

    fn f64(a: f64, b: f64) -> f64 {
        a.powf(b)
    }

    #[inline(always)]
    fn f32(a: f32, b: f32) -> f32 {
        a.powf(b)
    }

    fn vjp(graph: &mut Graph, [a, b]: [NodeId; 2], y: NodeId, dy: NodeId) -> Result<[NodeId; 2]> {
        let (zero, one) = (graph.scalar(0.0)?, graph.scalar(1.0)?);
        let (a_zero, b_zero) = (graph.equal(a, zero)?, graph.equal(b, zero)?);
        // b a^(b-1), where 0 times 0^(-1) is to be 0.
        let both = graph.and(a_zero, b_zero)?;
        let less = graph.sub(b, one)?;
        let exponent = graph.select(both, one, less)?;
        let power = graph.pow(a, exponent)?;
        let slope = graph.mul(b, power)?;
        // y log a, where 0^b log 0 is to be 0.
        let base = graph.select(a_zero, one, a)?;
        let log = graph.log(base)?;
        let growth = graph.mul(y, log)?;
        Ok([graph.mul(dy, slope)?, graph.mul(dy, growth)?])
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    use crate::testing::case::{FUNCTION, case, uniform, values};
    let none = serde_json::json!({});
    let mut all = super::binary::cases::<Pow>(0.5, 2.0);
    all.push(case("pow", none.clone(), [uniform(&[9], -2.0, 2.0), values(&[], &[2.0])]).not_smooth());
    all.push(
        case("pow", none, [values(&[4], &[0.0, 0.0, 0.0, 0.0]), values(&[4], &[0.0, 1.0, 2.0, 3.0])]).not_smooth(),
    );
    all.into_iter().map(|c| c.within(FUNCTION)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use tslip_graph::{Graph, Spec, autodiff::gradients, reference::evaluate};

    use crate::emit::Emit;

    #[test]
    fn gradients_at_base_zero_are_finite_for_exponents_zero_and_from_one_on() {
        let mut graph = Graph::new(crate::registry());
        let a = graph.input(0, Spec::f32([4]), false).unwrap();
        let b = graph.input(1, Spec::f32([4]), false).unwrap();
        let y = graph.pow(a, b).unwrap();
        let loss = graph.sum(y, &[0], false).unwrap();
        let slopes = gradients(&mut graph, loss, &[a, b]).unwrap();
        let leaves = HashMap::from([
            (a, ndarray::arr1(&[0.0; 4]).into_dyn()),
            (b, ndarray::arr1(&[0.0, 1.0, 2.0, 3.0]).into_dyn()),
        ]);
        let values = evaluate(&graph, &leaves, &slopes);
        assert_eq!(values[0], ndarray::arr1(&[0.0, 1.0, 0.0, 0.0]).into_dyn());
        assert_eq!(values[1], ndarray::arr1(&[0.0; 4]).into_dyn());
    }
}
