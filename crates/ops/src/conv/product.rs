//! Convolution and its adjoints as products of matrices on a GPU (implicit GEMM), channels last.
use tslip_cpu::kernels::conv2d::ConvShape;
use tslip_graph::gpu::{Argument, Form};
use tslip_graph::{Code, Error, Result};

use super::Layout;
use crate::linear::product::Product;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// y from x and w; operand 2 may be the bias.
    Forward,
    /// dx from dy and w.
    InputGrad,
    /// dw from x and dy.
    WeightGrad,
}

/// The kernels of a pass; `bias` says whether operand 2 is one.
pub fn form(pass: Pass, layout: Layout, s: &ConvShape, bias: bool) -> Result<Form> {
    if layout != Layout::Nhwc {
        return Err(Error::new(Code::Unsupported, "a GPU convolves channels last, which planning brings about"));
    }
    let (cin, cout, pixels, taps) = (s.cin / s.groups, s.cout / s.groups, s.n * s.out_h() * s.out_w(), s.kh * s.kw);
    let mut words = vec![Argument::Input(0), Argument::Input(1)];
    let sizes = [s.h, s.w, s.out_h(), s.out_w(), s.kw, s.cin, s.cout, cin, cout];
    words.extend(sizes.map(Argument::size));
    words.extend(
        [s.stride[0], s.stride[1], s.dilation[0], s.dilation[1], s.padding[0], s.padding[1]].map(Argument::size),
    );
    macro_rules! operands {
        ($folder:literal) => {
            concat!(include_str!("geometry.wgsl"), include_str!(concat!($folder, "/operands.wgsl")))
        };
    }
    let product = |name, operands, rows, columns, terms, strides| Product {
        name,
        operands,
        a_rows_together: pass == Pass::WeightGrad,
        b_columns_together: pass != Pass::InputGrad,
        batches: s.groups,
        rows,
        columns,
        terms,
        strides,
        bias: bias.then_some((Argument::Input(2), cout)),
        words,
        constants: match pass {
            Pass::InputGrad => vec![("STRIDED", u32::from(s.stride != [1, 1]))],
            Pass::Forward | Pass::WeightGrad => Vec::new(),
        },
    };
    Ok(match pass {
        Pass::Forward => product("convolution", operands!("conv2d"), pixels, cout, taps * cin, [cout, s.cout]),
        Pass::InputGrad => {
            let image = s.n * s.h * s.w;
            product("convolution, image", operands!("conv2d_input_grad"), image, cin, taps * cout, [cin, s.cin])
        }
        Pass::WeightGrad => {
            product("convolution, weights", operands!("conv2d_weight_grad"), taps * cin, cout, pixels, [cout, s.cout])
        }
    }
    .form())
}
