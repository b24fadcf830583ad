//! Björck orthonormalization on a GPU. Of a small weight a block of iterations takes three launches: the Gram matrix, the iterations on
//! it in one workgroup, and the product of the weight with what they have come to. Of a larger one each iteration is carried
//! out on the weight itself, in two.
use tslip_graph::gpu::{Form, Launch};

use super::{
    ALWAYS, Applied, Block, NONE, OUTPUT, Region, Scratch, Term, UNSCALED, Weight, Words, apply, copy, gram, tiled,
};
use crate::spectral::bjorck::Bjorck;

/// Iterations in a block, unless it is close to its end.
const RESTART: usize = 7;

/// Blocks at most: full ones, the last iteration by itself, and one that stopped early.
pub(super) fn most_blocks(iterations: usize) -> usize {
    iterations.saturating_sub(1).div_ceil(RESTART) + 1
}

/// What the iterations on small matrices leave behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tape {
    /// See `progress.wgsl`.
    pub progress: Region,
    /// X at the start of each block but the first, in so many places in turn.
    x: (Region, usize),
    /// E before each iteration, and E² before each but the last of a block, or nothing.
    pub e: Region,
    pub square: Region,
    /// P after each iteration, in so many places in turn.
    pub power: (Region, usize),
    large: usize,
}

impl Tape {
    /// Everything, in memory of as many words as [`Tape::words`] says.
    pub fn kept(weight: &Weight, iterations: usize, memory: Region) -> Self {
        let (blocks, small, large) = (most_blocks(iterations), weight.small(), weight.large());
        let x = memory.after(blocks + 2);
        let e = x.after((blocks - 1) * large);
        let square = e.after(iterations * small);
        let power = square.after((iterations - 1).max(1) * small);
        Tape { progress: memory, x: (x, blocks), e, square, power: (power, iterations), large }
    }

    /// Words of everything.
    pub fn words(weight: &Weight, iterations: usize) -> usize {
        let (blocks, small) = (most_blocks(iterations), 2 * iterations + iterations.saturating_sub(1).max(1));
        blocks + 2 + (blocks - 1) * weight.large() + small * weight.small()
    }

    /// What it takes to go on.
    fn passing(weight: &Weight, iterations: usize, scratch: &mut Scratch) -> Self {
        let (small, large) = (weight.small(), weight.large());
        Tape {
            progress: scratch.take(most_blocks(iterations) + 2),
            x: (scratch.take(2 * large), 2),
            e: NONE,
            square: NONE,
            power: (scratch.take(small), 1),
            large,
        }
    }

    /// X at the start of block `index`.
    pub fn x(&self, w: Region, index: usize) -> Region {
        let (first, places) = self.x;
        if index == 0 { w } else { first.after((index - 1) % places * self.large) }
    }

    /// How many places P has been written to when block `index` has ended, and the places.
    pub fn written(&self, index: usize) -> (Region, usize) {
        (self.progress.after(2 + index), self.power.1)
    }
}

/// Words that the value of a weight of this shape leaves behind for its gradient.
pub fn tape_length(op: &Bjorck, shape: &[usize]) -> usize {
    let weight = Weight::new(shape);
    // The derivative of a larger weight needs no tape.
    if weight.is_small() { Tape::words(&weight, op.iterations) } else { 0 }
}

/// The op, with the tape after its value where that is asked for.
pub fn value(op: &Bjorck, shape: &[usize], taped: bool) -> Form {
    let (weight, w) = (Weight::new(shape), Region::input(0));
    if op.iterations == 0 {
        return copy(weight.large(), w, OUTPUT);
    }
    let mut scratch = Scratch::default();
    if !weight.is_small() {
        return Form::Kernels(direct(op, &weight, w, &mut scratch));
    }
    let tape = match taped {
        true => Tape::kept(&weight, op.iterations, OUTPUT.after(weight.large())),
        false => Tape::passing(&weight, op.iterations, &mut scratch),
    };
    Form::Kernels(in_blocks(op, &weight, w, OUTPUT, &tape, &mut scratch))
}

/// The iterations on small matrices.
pub(super) fn in_blocks(
    op: &Bjorck,
    weight: &Weight,
    w: Region,
    out: Region,
    tape: &Tape,
    scratch: &mut Scratch,
) -> Vec<Launch> {
    let parts = weight.take_parts(scratch);
    let mut launches = Vec::new();
    let blocks = most_blocks(op.iterations);
    for index in 0..blocks {
        let block = Block { progress: tape.progress, index };
        // Before the first block nothing is known.
        let before = if index == 0 { ALWAYS } else { block };
        let x = tape.x(w, index);
        launches.push(gram(weight, before, x, UNSCALED, [[NONE, parts]]));
        let kernel = tiled("Björck iterations", include_str!("steps.wgsl"))
            .with(include_str!("progress.wgsl"))
            .with(include_str!("sums.wgsl"))
            .with(include_str!("small.wgsl"))
            .constant("RESTART", RESTART as u32);
        let words = Words::default()
            .sizes([weight.p, weight.parts])
            .regions([parts, tape.progress])
            .sizes([index, op.iterations])
            .float(op.beta as f32)
            .regions([tape.e, tape.square, tape.power.0])
            .sizes([tape.power.1]);
        launches.push(kernel.launch(1, words.0));
        let term = Term { written: tape.written(index), ..Term::plain(x, tape.power.0) };
        let to = if index + 1 == blocks { out } else { tape.x(w, index + 1) };
        launches.push(apply(weight, block, UNSCALED, [Applied { to, last: out, terms: vec![term] }]));
    }
    launches
}

/// X (I + beta E) = (1 + beta) X - beta X XᵀX.
pub(super) fn step(op: &Bjorck, weight: &Weight, x: Region, gram: Region) -> Term {
    let beta = op.beta as f32;
    Term { parts: weight.parts, factor: -beta, diagonal: 1.0 + beta, ..Term::plain(x, gram) }
}

/// The iterations on the weight itself.
fn direct(op: &Bjorck, weight: &Weight, w: Region, scratch: &mut Scratch) -> Vec<Launch> {
    let parts = weight.take_parts(scratch);
    let places = [scratch.take(weight.large()), scratch.take(weight.large())];
    let mut x = w;
    let mut launches = Vec::new();
    for k in 0..op.iterations {
        let to = if k + 1 == op.iterations { OUTPUT } else { places[k % 2] };
        launches.push(gram(weight, ALWAYS, x, UNSCALED, [[NONE, parts]]));
        let applied = Applied { to, last: to, terms: vec![step(op, weight, x, parts)] };
        launches.push(apply(weight, ALWAYS, UNSCALED, [applied]));
        x = to;
    }
    launches
}
