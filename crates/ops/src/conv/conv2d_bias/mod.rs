//! Convolution and its bias in one pass. Models are written with `conv2d` and `add`; the planner puts this in their place
//! (`of_sum`), channels last as the kernels work.
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tslip_cpu::kernels::conv2d::{ConvShape, forward, forward_scratch};
use tslip_cpu::simd::Level;
use tslip_graph::gpu::Form;
use tslip_graph::{Accuracy, Call, DType, Error, Fused, NodeId, Op, Operand, Result, Samples, Site, Spec, Vjp};

use super::conv2d::Conv2d;
use super::product::{self, Pass};
use super::{Geometry, Layout, check, flops};
use crate::elementwise::add::Add;
use crate::elementwise::binary::Binary;
use crate::emit::Emit;
use crate::support::{need, operands};

#[cfg(test)]
mod cases;
#[cfg(test)]
pub(crate) use cases::cases;

/// `conv2d_bias`: x `[n, h, w, c]`, w `[kh, kw, c / groups, o]`, bias `[1, 1, 1, o]` to `[n, oh, ow, o]`; the layout is
/// "nhwc". Sums start from the bias, so that results may differ from those of `conv2d` and `add` in the last bits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conv2dBias(pub Geometry);

/// The block for the sum of a convolution that nothing else uses and its bias.
pub fn of_sum(site: &Site<'_>) -> Option<Fused> {
    site.op::<Binary<Add>>()?;
    let &[a, b] = site.inputs else { return None };
    let block = |convolution: NodeId, bias: NodeId| {
        let (Conv2d(geometry), inputs) = site.computed_by::<Conv2d>(convolution)?;
        let channels = *site.graph.shape(convolution).last()?;
        let fits = geometry.layout == Layout::Nhwc
            && (site.only_here)(convolution)
            && site.graph.shape(bias) == [1, 1, 1, channels];
        fits.then(|| Fused { op: Arc::new(Conv2dBias(geometry.clone())), inputs: vec![inputs[0], inputs[1], bias] })
    };
    block(a, b).or_else(|| block(b, a))
}

impl Conv2dBias {
    fn shape(&self, x: &[usize], w: &[usize]) -> Result<ConvShape> {
        self.0.shape(self.0.data(x), self.0.weight(w))
    }

    fn known(&self, x: &[usize], w: &[usize]) -> ConvShape {
        self.shape(x, w).unwrap_or_else(|e| unreachable!("these shapes were inferred before: {e}"))
    }
}

impl Op for Conv2dBias {
    fn name(&self) -> &'static str {
        "conv2d_bias"
    }

    fn attributes(&self) -> Value {
        json!(self.0)
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Spec> {
        let [x, w, bias] = operands(inputs)?;
        check(&[x, w])?;
        need(bias, DType::F32)?;
        if self.0.layout != Layout::Nhwc {
            return Err(Error::argument(
                "the layout must be \"nhwc\": write conv2d and add, which become this op where it can be used",
            ));
        }
        let s = self.shape(&x.shape, &w.shape)?;
        if bias.shape != [1, 1, 1, s.cout] {
            return Err(Error::shape(format!(
                "a bias for {} output channels must be [1, 1, 1, {}], not {:?}",
                s.cout, s.cout, bias.shape
            )));
        }
        Ok(Spec::f32(self.0.data_shape([s.n, s.cout, s.out_h(), s.out_w()])))
    }

    fn vjp(&self, v: Vjp<'_>) -> Result<Vec<Option<NodeId>>> {
        let Vjp { graph, inputs, output, cotangent } = v;
        let mut parts = Conv2d(self.0.clone()).vjp(Vjp { graph, inputs: &inputs[..2], output, cotangent })?;
        let shape = graph.shape(inputs[2]).to_vec();
        parts.push(Some(graph.sum_to(cotangent, &shape)?));
        Ok(parts)
    }

    fn reference(&self, inputs: &[&ArrayD<f64>], output: &Spec) -> ArrayD<f64> {
        let mut y = Conv2d(self.0.clone()).reference(&inputs[..2], output);
        for (mut channel, bias) in y.axis_iter_mut(Axis(3)).zip(inputs[2]) {
            channel += *bias;
        }
        y
    }

    fn samples(&self, inputs: &[Operand<'_>], _output: &Spec) -> Samples {
        if inputs[1].batched || inputs[2].batched {
            return Samples::Whole;
        }
        Samples::PerSample { sliced: vec![true, false, false] }
    }

    fn scratch(&self, inputs: &[&[usize]], _output: &[usize]) -> usize {
        forward_scratch(&self.known(inputs[0], inputs[1]))
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy::Summed
    }

    fn cpu(&self, mut call: Call<'_>) {
        let [x, w, bias] = [0, 1, 2].map(|i| call.inputs[i]);
        let s = self.known(x.shape, w.shape);
        forward(Level::current(), &s, x.f32(), w.f32(), Some(bias.f32()), call.output.f32(), call.scratch);
    }

    fn gpu(&self, inputs: &[&Spec], _output: &Spec) -> Result<Form> {
        product::form(Pass::Forward, self.0.layout, &self.known(&inputs[0].shape, &inputs[1].shape), true)
    }

    fn flops(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        flops(&self.known(inputs[0], inputs[1])) + output.iter().product::<usize>() as u64
    }
}
