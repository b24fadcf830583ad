//! Ops that read or write at positions given by data, and the order in which values sort.
//!
//! Positions are data, so they cannot be refused when a graph is made. One outside the axis (negative ones included)
//! reads as 0, and what is added there is dropped: the two remain adjoint, and no position is ever out of bounds.
mod gpu;
#[cfg(test)]
mod tests;

use crate::group::group;
use crate::support::parse;

group! {
    argsort: "argsort" => parse::<argsort::Argsort>,
    gather: "gather" => parse::<gather::Gather>,
    one_hot: "one_hot" => parse::<one_hot::OneHot>,
    put_along_add: "put_along_add" => parse::<put_along_add::PutAlongAdd>,
    scatter_add: "scatter_add" => parse::<scatter_add::ScatterAdd>,
    take_along: "take_along" => parse::<take_along::TakeAlong>,
}

/// An axis of a row-major tensor: `outer` blocks of `extent` rows of `inner` elements.
#[derive(Clone, Copy, Debug)]
struct Along {
    outer: usize,
    extent: usize,
    inner: usize,
}

impl Along {
    fn new(shape: &[usize], axis: usize) -> Self {
        let of = |part: &[usize]| part.iter().product();
        Along { outer: of(&shape[..axis]), extent: shape[axis], inner: of(&shape[axis + 1..]) }
    }
}

/// The position that an index names on an axis of this extent, if there is one.
fn position(index: i32, extent: usize) -> Option<usize> {
    usize::try_from(index).ok().filter(|&i| i < extent)
}

/// The same for an index as the reference holds it.
fn exact_position(index: f64, extent: usize) -> Option<usize> {
    (index >= 0.0 && index < extent as f64).then_some(index as usize)
}
