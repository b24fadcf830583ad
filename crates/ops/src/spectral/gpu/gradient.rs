//! The adjoint of Björck orthonormalization on a GPU. It is the derivative in the direction of the cotangent, and is computed forwards
//! beside the value (`crates/cpu/src/spectral/bjorck_grad.rs` says why), in as many launches as that.
use tslip_graph::gpu::{Form, Launch};

use super::bjorck::{Tape, in_blocks, most_blocks, step};
use super::{
    ALWAYS, Applied, Block, NONE, OUTPUT, Region, Scratch, Term, UNSCALED, Weight, Words, apply, copy, gram, tiled,
};
use crate::spectral::bjorck::Bjorck;

/// From the weight and the cotangent.
pub fn gradient(op: &Bjorck, shape: &[usize]) -> Form {
    let (weight, w, d) = (Weight::new(shape), Region::input(0), Region::input(1));
    if op.iterations == 0 {
        return copy(weight.large(), d, OUTPUT);
    }
    let mut scratch = Scratch::default();
    if !weight.is_small() {
        return Form::Kernels(direct(op, &weight, w, d, &mut scratch));
    }
    let memory = scratch.take(Tape::words(&weight, op.iterations));
    let tape = Tape::kept(&weight, op.iterations, memory);
    let value = scratch.take(weight.large());
    let mut launches = in_blocks(op, &weight, w, value, &tape, &mut scratch);
    // The value itself is of no use.
    launches.pop();
    launches.extend(along_tape(op, &weight, w, d, &tape, &mut scratch));
    Form::Kernels(launches)
}

/// From the weight, the tape of its value and the cotangent.
pub fn gradient_from_tape(op: &Bjorck, shape: &[usize]) -> Form {
    let (weight, w, d) = (Weight::new(shape), Region::input(0), Region::input(2));
    if op.iterations == 0 {
        return copy(weight.large(), d, OUTPUT);
    }
    let mut scratch = Scratch::default();
    Form::Kernels(if weight.is_small() {
        let tape = Tape::kept(&weight, op.iterations, Region::input(1).after(weight.large()));
        along_tape(op, &weight, w, d, &tape, &mut scratch)
    } else {
        direct(op, &weight, w, d, &mut scratch)
    })
}

/// D <- D P + X dP for each block, with dP from the tape and XᵀD + DᵀX.
fn along_tape(op: &Bjorck, weight: &Weight, w: Region, d: Region, tape: &Tape, scratch: &mut Scratch) -> Vec<Launch> {
    let parts = weight.take_parts(scratch);
    let d_power = scratch.take(weight.small());
    let places = [scratch.take(weight.large()), scratch.take(weight.large())];
    let mut d = d;
    let mut launches = Vec::new();
    for index in 0..most_blocks(op.iterations) {
        let block = Block { progress: tape.progress, index };
        let x = tape.x(w, index);
        launches.push(gram(weight, block, x, UNSCALED, [[d, parts]]));
        let kernel = tiled("Björck iterations, derivative", include_str!("tangents.wgsl"))
            .with(include_str!("progress.wgsl"))
            .with(include_str!("sums.wgsl"))
            .with(include_str!("small.wgsl"));
        let words = Words::default()
            .sizes([weight.p, weight.parts])
            .regions([parts, tape.progress])
            .sizes([index, op.iterations])
            .float(op.beta as f32)
            .regions([tape.e, tape.square, tape.power.0, d_power]);
        launches.push(kernel.launch(1, words.0));
        let power = Term { written: tape.written(index), ..Term::plain(d, tape.power.0) };
        let applied = Applied { to: places[index % 2], last: OUTPUT, terms: vec![power, Term::plain(x, d_power)] };
        launches.push(apply(weight, block, UNSCALED, [applied]));
        d = places[index % 2];
    }
    launches
}

/// D <- D S + X dS for each iteration, with S = I + beta E, dS = -beta (XᵀD + DᵀX), and X <- X S.
fn direct(op: &Bjorck, weight: &Weight, w: Region, d: Region, scratch: &mut Scratch) -> Vec<Launch> {
    let (of_x, of_d) = (weight.take_parts(scratch), weight.take_parts(scratch));
    let mut place = || scratch.take(weight.large());
    let (xs, ds) = ([place(), place()], [place(), place()]);
    let (mut x, mut d) = (w, d);
    let mut launches = Vec::new();
    for k in 0..op.iterations {
        launches.push(gram(weight, ALWAYS, x, UNSCALED, [[NONE, of_x], [d, of_d]]));
        let tangent = Term { parts: weight.parts, factor: -(op.beta as f32), ..Term::plain(x, of_d) };
        let terms = vec![step(op, weight, d, of_x), tangent];
        if k + 1 == op.iterations {
            let applied = Applied { to: OUTPUT, last: OUTPUT, terms };
            launches.push(apply(weight, ALWAYS, UNSCALED, [applied]));
        } else {
            let (next, to) = (xs[k % 2], ds[k % 2]);
            let of_weight = Applied { to: next, last: next, terms: vec![step(op, weight, x, of_x)] };
            launches.push(apply(weight, ALWAYS, UNSCALED, [of_weight, Applied { to, last: to, terms }]));
            (x, d) = (next, to);
        }
    }
    launches
}
