//! The kernels of this folder on a GPU, as lists of launches that are the same for all weights with one tile of a Gram matrix,
//! and another for all larger ones: so weights share dispatches. The algorithms are the CPU kernels' (`crates/cpu/src/
//! spectral`): a weight is taken in its tall form X `[q, p]`, q >= p, and its Gram matrix XᵀX is the small one.
mod bjorck;
mod gradient;
mod norm;
#[cfg(test)]
mod tests;

use tslip_graph::gpu::{Argument, Form, Kernel, Launch};

pub use bjorck::{tape_length, value};
pub use gradient::{gradient, gradient_from_tape};
pub use norm::{norm, norm_from_gradient, norm_grad};

/// Rows and columns of a tile.
const SIDE: usize = 64;
/// Terms of a step of a product.
const STEP: usize = 16;
/// Workgroups that the parts of a Gram matrix should not exceed.
const WORKGROUPS: usize = 128;

/// Words from somewhere on.
#[derive(Clone, Copy, Debug)]
struct Region {
    base: Argument,
    offset: usize,
}

/// Where there is nothing.
const NONE: Region = Region { base: Argument::Word(u32::MAX), offset: 0 };
/// The result.
const OUTPUT: Region = Region { base: Argument::Output, offset: 0 };

impl Region {
    fn input(index: usize) -> Self {
        Region { base: Argument::Input(index), offset: 0 }
    }

    fn after(self, words: usize) -> Self {
        Region { offset: self.offset + words, ..self }
    }

    fn address(self) -> [Argument; 2] {
        [self.base, Argument::size(self.offset)]
    }
}

/// Working memory, given out piece by piece.
#[derive(Debug, Default)]
struct Scratch {
    used: usize,
}

impl Scratch {
    fn take(&mut self, words: usize) -> Region {
        self.used += words;
        Region { base: Argument::Scratch { at: self.used - words, words }, offset: 0 }
    }
}

/// The words of a launch.
#[derive(Debug, Default)]
struct Words(Vec<Argument>);

impl Words {
    fn sizes<const N: usize>(mut self, sizes: [usize; N]) -> Self {
        self.0.extend(sizes.map(Argument::size));
        self
    }

    fn float(mut self, value: f32) -> Self {
        self.0.push(Argument::float(value));
        self
    }

    fn regions<const N: usize>(mut self, regions: [Region; N]) -> Self {
        self.0.extend(regions.into_iter().flat_map(Region::address));
        self
    }
}

/// A weight, and how the sums of its Gram matrix are cut.
#[derive(Clone, Copy, Debug)]
struct Weight {
    m: usize,
    n: usize,
    p: usize,
    q: usize,
    /// Parts of a sum over q, and the terms of each.
    parts: usize,
    share: usize,
}

impl Weight {
    fn new(shape: &[usize]) -> Self {
        let (m, n) = (shape[0], shape[1]);
        let (p, q) = (m.min(n), m.max(n));
        // A part then has as many steps as there are parts for its reader to add.
        let balanced = q.div_ceil(STEP).isqrt();
        let along = p.div_ceil(SIDE);
        let parts = balanced.min(WORKGROUPS.div_ceil(along * (along + 1) / 2)).max(1);
        let share = q.div_ceil(parts).next_multiple_of(STEP);
        Weight { m, n, p, q, parts: q.div_ceil(share), share }
    }

    /// Whether one workgroup holds the Gram matrix.
    fn is_small(&self) -> bool {
        self.p <= SIDE
    }

    fn small(&self) -> usize {
        self.p * self.p
    }

    fn large(&self) -> usize {
        self.p * self.q
    }

    /// Tiles on and above the diagonal of the Gram matrix.
    fn triangle(&self) -> usize {
        let along = self.p.div_ceil(SIDE);
        along * (along + 1) / 2
    }

    /// Memory for the parts of a Gram matrix.
    fn take_parts(&self, scratch: &mut Scratch) -> Region {
        scratch.take(self.parts * self.small())
    }
}

/// Where the number of blocks of an iteration is found once it is known, and which block this is; later ones do nothing.
#[derive(Clone, Copy, Debug)]
struct Block {
    progress: Region,
    index: usize,
}

/// For what is always computed.
const ALWAYS: Block = Block { progress: NONE, index: 0 };

/// The largest magnitudes of parts of a weight, by which it is scaled; none where it is taken as it is.
#[derive(Clone, Copy, Debug)]
struct Maxima {
    count: usize,
    at: Region,
}

const UNSCALED: Maxima = Maxima { count: 0, at: NONE };

/// The parts of XᵀX (where Y is [`NONE`]) or of XᵀY + YᵀX for each Y, to the places beside them.
fn gram<const N: usize>(weight: &Weight, block: Block, x: Region, maxima: Maxima, results: [[Region; 2]; N]) -> Launch {
    let kernel = tiled("Gram matrix", include_str!("gram.wgsl"))
        .with(include_str!("progress.wgsl"))
        .with(include_str!("scaling.wgsl"))
        .with(include_str!("triangle.wgsl"));
    let wide = usize::from(weight.m < weight.n);
    let words = Words::default()
        .regions([block.progress])
        .sizes([block.index, weight.p, weight.q, wide, weight.parts, weight.share])
        .regions([x])
        .sizes([maxima.count])
        .regions([maxima.at]);
    let words = results.into_iter().fold(words, Words::regions);
    kernel.launch(N * weight.triangle() * weight.parts, words.0)
}

/// X S, for S = `diagonal` I + `factor` times the sum of the parts of a matrix.
#[derive(Clone, Copy, Debug)]
struct Term {
    x: Region,
    matrix: Region,
    /// How many matrices were written from `matrix` on in turn, as a float, or nothing; and places for them. The last is meant.
    written: (Region, usize),
    parts: usize,
    factor: f32,
    /// Another factor.
    by: Region,
    diagonal: f32,
}

impl Term {
    /// X S for a matrix S as it is.
    fn plain(x: Region, matrix: Region) -> Self {
        Term { x, matrix, written: (NONE, 1), parts: 1, factor: 1.0, by: NONE, diagonal: 0.0 }
    }
}

/// A sum of one or two terms, and its place; another one where the block is the last.
#[derive(Clone, Debug)]
struct Applied {
    to: Region,
    last: Region,
    terms: Vec<Term>,
}

/// Pairs of factors that the words of a result have room for.
const MOST_TERMS: usize = 2;

/// Products of matrices of the weight's shape with symmetric matrices.
fn apply<const N: usize>(weight: &Weight, block: Block, maxima: Maxima, results: [Applied; N]) -> Launch {
    let kernel = tiled("product with a symmetric matrix", include_str!("apply.wgsl"))
        .with(include_str!("progress.wgsl"))
        .with(include_str!("scaling.wgsl"));
    let mut words = Words::default()
        .regions([block.progress])
        .sizes([block.index, weight.m, weight.n, maxima.count])
        .regions([maxima.at]);
    for Applied { to, last, terms } in results {
        words = words.regions([to, last]).sizes([terms.len()]);
        // What is not counted is not read.
        for term in terms.iter().chain(&terms).take(MOST_TERMS) {
            let (written, places) = term.written;
            words = words.regions([term.x, term.matrix, written]).sizes([places, term.parts]);
            words = words.float(term.factor).regions([term.by]).float(term.diagonal);
        }
    }
    let tiles = weight.m.div_ceil(SIDE) * weight.n.div_ceil(SIDE);
    kernel.launch(N * tiles, words.0)
}

/// `count` elements from one place to another.
fn copy(count: usize, from: Region, to: Region) -> Form {
    let kernel = addressed("copy", include_str!("copy.wgsl"));
    Form::Kernels(vec![kernel.over(count, Words::default().sizes([count]).regions([from, to]).0)])
}

/// A kernel that computes tiles.
fn tiled(name: &'static str, source: &'static str) -> Kernel {
    addressed(name, source).with(include_str!("tiles.wgsl"))
}

/// A kernel whose words are addresses.
fn addressed(name: &'static str, source: &'static str) -> Kernel {
    Kernel::new(name, source).with(include_str!("address.wgsl"))
}
