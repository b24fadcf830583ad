//! Lanczos' method for a convolution on a GPU, as `crates/cpu/src/spectral/convolution.rs` has it: images in the order `[c, h, w]`.
use tslip_cpu::spectral::Convolution;
use tslip_graph::gpu::{Argument, EXACT, Form, Kernel};

use crate::conv::operator::Operator;

/// Steps between two looks at the eigenvalue.
const LOOK: usize = 8;

/// The op, for weights of this shape.
pub fn form(operator: &Operator, w: &[usize]) -> Form {
    let s = operator.convolution(w).shape;
    let [height, width] = operator.input_size;
    let (count, results) = (s.cin * height * width, s.cout * s.out_h() * s.out_w());
    let most = Convolution::most_vectors(count);
    let state_words = 1 + 4 * most;
    let vector = |j: usize| Argument::Scratch { at: j * count, words: count };
    let result = Argument::Scratch { at: (most + 1) * count, words: results };
    let state = Argument::Scratch { at: (most + 1) * count + results, words: state_words };
    let [top, left, bottom, right] = operator.padding;
    let geometry = [
        [height, top, height + top + bottom, s.out_h(), s.kh, s.stride[0], s.dilation[0]],
        [width, left, width + left + right, s.out_w(), s.kw, s.stride[1], s.dilation[1]],
    ];
    let apply = |name: &'static str, source: &'static str, outputs: usize, [from, to]: [Argument; 2]| {
        let mut words = vec![Argument::size(outputs), from, to, Argument::Input(0), state];
        words.push(Argument::Word(operator.mode as u32));
        words.extend([s.cin / s.groups, s.cout / s.groups, s.groups].map(Argument::size));
        words.extend(geometry.iter().flatten().map(|&extent| Argument::size(extent)));
        let kernel = Kernel::new(name, source)
            .with(include_str!("../../shape/padding.wgsl"))
            .with(include_str!("operator.wgsl"));
        kernel.over(outputs, words)
    };
    let together = |name: &'static str, source: &'static str| {
        let shared = [include_str!("../../spectral/gpu/sums.wgsl"), include_str!("../../spectral/gpu/address.wgsl")];
        shared.into_iter().fold(Kernel::new(name, source).with(EXACT), Kernel::with).with(include_str!("inner.wgsl"))
    };
    let orthogonalize = |j: usize| {
        let words = vec![Argument::size(count), Argument::size(j), vector(0), state, Argument::size(most)];
        together("next vector of Lanczos", include_str!("orthogonalize.wgsl")).launch(1, words)
    };
    let begin = [Argument::size(count), vector(0), Argument::size(state_words), state];
    let start = Kernel::new("start of Lanczos", include_str!("start.wgsl"));
    let mut launches = vec![start.over(count.max(state_words), begin.to_vec()), orthogonalize(0)];
    for j in 1..=most {
        launches.push(apply("windows of one image", include_str!("windows.wgsl"), results, [vector(j - 1), result]));
        launches.push(apply("adjoint of windows", include_str!("adjoint.wgsl"), count, [result, vector(j)]));
        launches.push(orthogonalize(j));
        if j % LOOK == 0 || j == most {
            let mut words = vec![Argument::size(count), Argument::size(j), vector(0), state, Argument::size(most)];
            let open = if j == most { Convolution::open_factor(most, count) } else { 0.0 };
            words.extend([operator.most, Convolution::SAFETY as f32, open as f32].map(Argument::float));
            words.extend([Argument::float(Convolution::residual(j, most) as f32), Argument::Output]);
            launches.push(together("largest Ritz value", include_str!("ritz.wgsl")).launch(1, words));
        }
    }
    Form::Kernels(launches)
}
