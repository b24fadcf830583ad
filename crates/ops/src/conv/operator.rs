//! A convolution of images of one size as an operator: padding of any mode, then the windows.
use serde::{Deserialize, Serialize};
use tslip_cpu::kernels::conv2d::ConvShape;
use tslip_cpu::spectral::Convolution;
use tslip_graph::{DType, Error, Graph, NodeId, Result, Spec};

use super::conv2d::Conv2d;
use super::conv2d_input_grad::Conv2dInputGrad;
use super::conv2d_weight_grad::Conv2dWeightGrad;
use super::{Geometry, Layout};
use crate::elementwise::sqrt::Sqrt;
use crate::elementwise::unary::Unary;
use crate::emit::Emit;
use crate::shape::pad::Pad;
use crate::shape::pad_grad::PadGrad;
use crate::shape::padding::{Mode, Padding};
use crate::support::need;

/// What the operator is, but for its weight `[o, c / groups, kh, kw]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operator {
    /// Step of the window, rows and columns.
    pub stride: [usize; 2],
    /// Pixels added around the image: top, left, bottom, right.
    pub padding: [usize; 4],
    /// What they are; zeros in mode "constant".
    pub mode: Mode,
    /// Distance between neighbouring taps.
    pub dilation: [usize; 2],
    /// Groups of channels that do not mix.
    pub groups: usize,
    /// Height and width of the images.
    pub input_size: [usize; 2],
    /// A bound of the norm for the weights that will be met.
    pub most: f32,
}

impl Operator {
    /// The shape of an image, if the weight is one.
    pub fn image(&self, w: &Spec) -> Result<[usize; 4]> {
        need(w, DType::F32)?;
        if w.rank() != 4 {
            return Err(Error::shape(format!("weights have four axes [o, i, kh, kw], not {}", w.rank())));
        }
        if !(self.most > 0.0 && self.most.is_finite()) {
            return Err(Error::argument(format!("the bound \"most\" must be positive and finite, not {}", self.most)));
        }
        let channels = w.shape[1].checked_mul(self.groups).unwrap_or(0);
        let image = [1, channels, self.input_size[0], self.input_size[1]];
        self.pads().padding().check(&image)?;
        self.shape(&image, &w.shape)?;
        Spec::f32([Convolution::most_vectors(image.iter().product::<usize>().max(1)) + 8, image.iter().product()])
            .check()?;
        Ok(image)
    }

    /// The padding of an image.
    fn pads(&self) -> Pad {
        let [top, left, bottom, right] = self.padding;
        Pad { before: vec![0, 0, top, left], after: vec![0, 0, bottom, right], mode: self.mode, value: 0.0 }
    }

    /// Whether pixels are copied before the windows are taken.
    fn copies(&self) -> bool {
        self.mode != Mode::Constant && self.padding != [0; 4]
    }

    /// What takes the windows.
    fn geometry(&self) -> Geometry {
        Geometry {
            stride: self.stride,
            padding: if self.copies() { [0; 4] } else { self.padding },
            dilation: self.dilation,
            groups: self.groups,
            layout: Layout::Nchw,
        }
    }

    fn shape(&self, image: &[usize; 4], w: &[usize]) -> Result<ConvShape> {
        let [_, c, mut h, mut wide] = *image;
        if self.copies() {
            let [top, left, bottom, right] = self.padding;
            (h, wide) = (h.saturating_add(top).saturating_add(bottom), wide.saturating_add(left).saturating_add(right));
        }
        self.geometry().shape([1, c, h, wide], [w[0], w[1], w[2], w[3]])
    }

    /// The operator for weights of this shape, which was inferred before.
    pub fn convolution(&self, w: &[usize]) -> Convolution {
        let image = [1, w[1] * self.groups, self.input_size[0], self.input_size[1]];
        let shape = self.shape(&image, w).unwrap_or_else(|e| unreachable!("these shapes were inferred before: {e}"));
        let pads = self.pads();
        let padding: Padding<'_> = pads.padding();
        let source = |axis: usize, i: usize| {
            let from = padding.source(axis, image[axis], i);
            from.unwrap_or_else(|| unreachable!("this mode copies pixels"))
        };
        let copies = self.copies().then(|| {
            let rows = (0..shape.h).map(|i| source(2, i));
            rows.flat_map(|row| (0..shape.w).map(move |j| (row, j)))
                .map(|(row, j)| row * image[3] + source(3, j))
                .collect()
        });
        Convolution { shape, copies, image: self.input_size }
    }

    /// The padded image.
    pub fn padded(&self, graph: &mut Graph, x: NodeId) -> Result<NodeId> {
        if self.copies() { graph.emit(self.pads(), &[x]) } else { Ok(x) }
    }

    /// What becomes of a padded image.
    pub fn windows(&self, graph: &mut Graph, padded: NodeId, w: NodeId) -> Result<NodeId> {
        graph.emit(Conv2d(self.geometry()), &[padded, w])
    }

    /// Aᵀ y.
    pub fn adjoint(&self, graph: &mut Graph, y: NodeId, w: NodeId) -> Result<NodeId> {
        let [top, left, bottom, right] = if self.copies() { self.padding } else { [0; 4] };
        let input_size = [self.input_size[0] + top + bottom, self.input_size[1] + left + right];
        let padded = graph.emit(Conv2dInputGrad { geometry: self.geometry(), input_size }, &[y, w])?;
        if !self.copies() {
            return Ok(padded);
        }
        let Pad { before, after, mode, .. } = self.pads();
        graph.emit(PadGrad { before, after, mode }, &[padded])
    }

    /// The derivative of <y, A x> in the weight, for a padded image x.
    pub fn weight_grad(&self, graph: &mut Graph, padded: NodeId, y: NodeId, w: NodeId) -> Result<NodeId> {
        let [kh, kw] = [graph.shape(w)[2], graph.shape(w)[3]];
        graph.emit(Conv2dWeightGrad { geometry: self.geometry(), kernel_size: [kh, kw] }, &[padded, y])
    }
}

/// The sum of all products.
pub fn inner(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let product = graph.mul(a, b)?;
    graph.sum(product, &[0, 1, 2, 3], false)
}

/// a / b, and a where b is 0.
pub fn quotient(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let [zero, one] = [graph.scalar(0.0)?, graph.scalar(1.0)?];
    let none = graph.equal(b, zero)?;
    let safe = graph.select(none, one, b)?;
    graph.div(a, safe)
}

/// x / |x|, 0 for 0, and |x|.
pub fn unit(graph: &mut Graph, x: NodeId) -> Result<[NodeId; 2]> {
    let square = inner(graph, x, x)?;
    let length = graph.emit(Unary::<Sqrt>::OP, &[square])?;
    Ok([quotient(graph, x, length)?, length])
}
