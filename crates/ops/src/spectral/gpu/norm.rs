//! The spectral norm on a GPU: a Schatten norm of high order, from above (`crates/cpu/src/spectral/norm.rs`). The Gram matrix of a small
//! weight is squared by one workgroup, that of a larger one by a launch for each squaring.
use tslip_graph::gpu::{EXACT, Form, Kernel, Launch};

use super::{
    ALWAYS, Applied, Maxima, NONE, OUTPUT, Region, Scratch, Term, Weight, Words, addressed, apply, gram, tiled,
};

/// Invocations of a workgroup: as many maxima as one can bring together.
const MOST_PARTS: usize = 256;
/// Elements of a part of a weight, of which a maximum or a sum is taken.
const PART: usize = 2048;
/// Elements of a weight that one workgroup passes over in less time than further launches take.
const WHOLE: usize = 1 << 18;
/// Squarings of the Gram matrix at most: p^(1/2^22) is within 2e-6 for any p.
const SQUARINGS: usize = 21;
/// The number of maxima that says that a Gram matrix is to find them itself.
const SCAN: usize = u32::MAX as usize;
/// Words of what is known after a squaring.
const KNOWN: usize = 3;

/// A power of the Gram matrix, for the gradient.
struct Power {
    matrix: Region,
    /// What X times the matrix is to be multiplied by.
    factor: Region,
    /// How many powers were written in turn, where there are several places for them.
    written: (Region, usize),
}

/// The op.
pub fn norm(shape: &[usize]) -> Form {
    let (weight, mut scratch) = (Weight::new(shape), Scratch::default());
    Form::Kernels(top(&weight, OUTPUT, false, &mut scratch).0)
}

/// Its gradient: sigma X M / <X M, X> for a high power M.
pub fn norm_grad(shape: &[usize]) -> Form {
    let (weight, mut scratch) = (Weight::new(shape), Scratch::default());
    let (mut launches, maxima, power) = top(&weight, NONE, true, &mut scratch);
    let x = Region::input(0);
    let term = Term { written: power.written, by: power.factor, ..Term::plain(x, power.matrix) };
    launches.push(apply(&weight, ALWAYS, maxima, [Applied { to: OUTPUT, last: OUTPUT, terms: vec![term] }]));
    Form::Kernels(launches)
}

/// The inner product of a weight and the gradient of its norm.
pub fn norm_from_gradient(shape: &[usize]) -> Form {
    let (weight, mut scratch) = (Weight::new(shape), Scratch::default());
    if weight.large() <= WHOLE {
        let kernel = addressed("inner product", include_str!("inner_whole.wgsl"))
            .with(include_str!("scaling.wgsl"))
            .with(include_str!("sums.wgsl"));
        let operands = [Region::input(0), Region::input(1), OUTPUT];
        return Form::Kernels(vec![kernel.launch(1, Words::default().sizes([weight.large()]).regions(operands).0)]);
    }
    let (first, maxima) = extent(&weight, &mut scratch);
    let sums = scratch.take(maxima.count);
    let kernel = addressed("inner product", include_str!("inner.wgsl"))
        .with(include_str!("scaling.wgsl"))
        .with(include_str!("sums.wgsl"));
    let sum = |count: usize, [a, b]: [Region; 2], parts: usize, to: Region| {
        let words = Words::default().sizes([count]).regions([a, b]).sizes([parts]).regions([to]);
        kernel.clone().launch(parts, words.sizes([maxima.count]).regions([maxima.at]).0)
    };
    let of_parts = sum(weight.large(), [Region::input(0), Region::input(1)], maxima.count, sums);
    Form::Kernels(vec![first, of_parts, sum(maxima.count, [sums, NONE], 1, OUTPUT)])
}

/// The largest magnitudes of the weight.
fn extent(weight: &Weight, scratch: &mut Scratch) -> (Launch, Maxima) {
    let count = weight.large().div_ceil(PART).min(MOST_PARTS);
    let maxima = Maxima { count, at: scratch.take(count) };
    let kernel = addressed("largest magnitudes", include_str!("extent.wgsl")).with(include_str!("scaling.wgsl"));
    let words = Words::default().sizes([weight.large()]).regions([Region::input(0)]).sizes([count]);
    (kernel.launch(count, words.regions([maxima.at]).0), maxima)
}

/// The norm into `sigma`, and what the gradient needs if it is wanted.
fn top(weight: &Weight, sigma: Region, gradient: bool, scratch: &mut Scratch) -> (Vec<Launch>, Maxima, Power) {
    let (mut launches, maxima, known) = match weight.large() <= WHOLE {
        true => {
            let at = scratch.take(1);
            (Vec::new(), Maxima { count: 1, at }, Maxima { count: SCAN, at })
        }
        false => {
            let (first, maxima) = extent(weight, scratch);
            (vec![first], maxima, maxima)
        }
    };
    let (parts, factor) = (weight.take_parts(scratch), scratch.take(1));
    launches.push(gram(weight, ALWAYS, Region::input(0), known, [[NONE, parts]]));
    let wanted = |region: Region| if gradient { region } else { NONE };
    let small = weight.small();
    if weight.is_small() {
        let matrix = scratch.take(small);
        let words = Words::default().sizes([weight.p, weight.parts]).regions([parts]).sizes([maxima.count]).regions([
            maxima.at,
            sigma,
            wanted(matrix),
            factor,
        ]);
        let kernel = squaring("powers of a Gram matrix", include_str!("powers.wgsl"));
        launches.push(kernel.with(include_str!("small.wgsl")).launch(1, words.0));
        return (launches, maxima, Power { matrix, factor, written: (NONE, 1) });
    }
    let (whole, powers) = (scratch.take(small), scratch.take(2 * small));
    let (known, written) = (scratch.take(KNOWN * SQUARINGS), scratch.take(1));
    launches.push(whole_gram(weight, parts, whole));
    let place = |k: usize| if k == 0 { whole } else { powers.after((k - 1) % 2 * small) };
    for k in 0..SQUARINGS {
        let words = Words::default().sizes([k, weight.p]).regions([place(k), place(k + 1), known]);
        let kernel = squaring("square of a power", include_str!("square.wgsl"))
            .with(include_str!("traces.wgsl"))
            .with(include_str!("triangle.wgsl"));
        launches.push(kernel.launch(weight.triangle(), words.0));
    }
    let words = Words::default().sizes([weight.p]).regions([whole, powers, known]).sizes([maxima.count]).regions([
        maxima.at,
        sigma,
        wanted(factor),
        written,
    ]);
    let kernel = squaring("spectral norm", include_str!("top.wgsl")).with(include_str!("traces.wgsl"));
    launches.push(kernel.launch(1, words.0));
    (launches, maxima, Power { matrix: powers, factor, written: (written, 2) })
}

/// The sum of the parts of a Gram matrix.
fn whole_gram(weight: &Weight, parts: Region, to: Region) -> Launch {
    let words = Words::default().sizes([weight.small(), weight.parts]).regions([parts, to]);
    addressed("sum of parts", include_str!("sum_parts.wgsl")).over(weight.small(), words.0)
}

/// A kernel that works on powers of Gram matrices.
fn squaring(name: &'static str, source: &'static str) -> Kernel {
    tiled(name, source)
        .with(include_str!("scaling.wgsl"))
        .with(include_str!("sums.wgsl"))
        .with(EXACT)
        .with(include_str!("sigma.wgsl"))
        .constant("SQUARINGS", SQUARINGS as u32)
}
