//! What the kernels over windows are called with on a GPU.
use tslip_graph::gpu::{Argument, EXACT, Form, Kernel};

use super::{Images, Window};

/// A kernel of `count` invocations over images of this shape; the words of the operands follow those of the windows.
pub fn form(kernel: Kernel, window: &Window, image: &[usize], count: usize, operands: &[Argument]) -> Form {
    if count == 0 {
        return Form::Kernels(Vec::new());
    }
    let Images { h, w, inner, .. } = window.images(image);
    let windows = window.count([h, w]).unwrap_or_else(|e| unreachable!("these windows were inferred before: {e}"));
    let stride = window.over(image).stride;
    let sizes = [count, inner, h, w, windows[0], windows[1], window.kernel[0], window.kernel[1], stride[0], stride[1]];
    let words = sizes.into_iter().map(Argument::size).chain(operands.iter().copied()).collect();
    Form::Kernels(vec![kernel.over(count, words)])
}

/// The kernel of the norm over windows.
pub fn norm(window: &Window, image: &[usize], count: usize, sorted: bool) -> Form {
    let kernel = Kernel::new("norms of windows", include_str!("norm.wgsl"));
    let operands = [Argument::Input(0), Argument::Output];
    of_neighbours(kernel, window, image, count, sorted, &operands)
}

/// The kernel of its gradient.
pub fn norm_grad(window: &Window, image: &[usize], count: usize, sorted: bool) -> Form {
    let kernel = Kernel::new("norms of windows, gradient", include_str!("norm_grad.wgsl"));
    let operands = [Argument::Input(0), Argument::Input(1), Argument::Input(2), Argument::Output];
    of_neighbours(kernel, window, image, count, sorted, &operands)
}

/// A kernel with an invocation for some neighbouring values of a pixel, as many as divide them all.
fn of_neighbours(
    kernel: Kernel,
    window: &Window,
    image: &[usize],
    count: usize,
    sorted: bool,
    operands: &[Argument],
) -> Form {
    let inner = window.images(image).inner;
    let together = [4, 2].into_iter().find(|n| inner.is_multiple_of(*n)).unwrap_or(1);
    let kernel = kernel
        .with(include_str!("windows.wgsl"))
        .with(include_str!("pairs.wgsl"))
        .with(EXACT)
        .constant("SORTED", u32::from(sorted))
        .constant("CHANNELS", together as u32);
    form(kernel, window, image, count / together, operands)
}
