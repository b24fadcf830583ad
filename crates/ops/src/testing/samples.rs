//! Batches cut into chunks: rows come out with the same bits, sums over samples add up.
use std::ops::Range;
use tslip_graph::{Samples, Spec};

use super::case::{SUMMED, Tolerance};
use super::each_case;
use super::every_op::compare;
use super::kernel::{Buffer, Operand, call, whole};
use super::variants::{Variant, variants};

/// Partial sums in f32 added in another order; the output starts at values of about this size too.
const ADDED: Tolerance = SUMMED;

#[test]
fn a_batch_in_chunks_gives_what_the_whole_batch_gives() {
    each_case(|case| {
        for v in variants(case)? {
            for mask in 1..1usize << v.specs.len() {
                let batched: Vec<bool> = (0..v.specs.len()).map(|i| mask >> i & 1 == 1).collect();
                for batch in batch_sizes(&v, &batched) {
                    check(&v, &batched, batch)
                        .map_err(|e| format!("{}, batch of {batch} along {batched:?}: {e}", v.label))?;
                }
            }
        }
        Ok(())
    });
}

/// All numbers of samples that the batched operands may stand for.
fn batch_sizes(v: &Variant, batched: &[bool]) -> Vec<usize> {
    let mut extents = Vec::new();
    for (spec, _) in v.specs.iter().zip(batched).filter(|(_, b)| **b) {
        match spec.shape.first() {
            None | Some(0) => return Vec::new(),
            Some(&n) => extents.push(n),
        }
    }
    let most = extents.iter().copied().min().unwrap_or(0);
    (2..=most).filter(|&n| extents.iter().all(|e| e % n == 0)).collect()
}

fn check(v: &Variant, batched: &[bool], batch: usize) -> Result<(), String> {
    let given: Vec<tslip_graph::Operand<'_>> =
        (v.specs.iter().zip(batched)).map(|(spec, &batched)| tslip_graph::Operand { spec, batched }).collect();
    let operands: Vec<Operand> = v.inputs.iter().zip(&v.specs).map(|(x, s)| Operand::new(x, s.dtype)).collect();
    let answer = v.op.samples(&given, &v.output);
    let (sliced, sum) = match &answer {
        Samples::Whole => return Ok(()),
        Samples::PerSample { sliced } => (sliced, false),
        Samples::Sum { sliced } => (sliced, true),
    };
    if sliced.len() != v.specs.len() {
        return Err(format!("{answer:?} for {} operands", v.specs.len()));
    }
    if sum && !v.op.accumulates() {
        return Err("answers Samples::Sum but does not accumulate".into());
    }
    // As the planner does: operands that cannot be cut into this many samples are run whole.
    let divides = |s: &Spec| s.shape.first().is_some_and(|n| n % batch == 0 && *n > 0);
    let fits = given.iter().zip(sliced).all(|(o, &cut)| if cut { divides(o.spec) } else { !o.batched });
    if !fits || (!sum && !divides(&v.output)) {
        return Ok(());
    }
    let want = whole(v.op.as_ref(), &operands, &v.output);
    for chunks in chunkings(batch) {
        let start = start(v, sum);
        let mut got = start.clone();
        for chunk in &chunks {
            let rows = |spec: &Spec| {
                let each = spec.shape[0] / batch;
                chunk.start * each..chunk.end * each
            };
            let parts: Vec<Option<Range<usize>>> =
                v.specs.iter().zip(sliced).map(|(s, &cut)| cut.then(|| rows(s))).collect();
            let out = (!sum).then(|| rows(&v.output));
            call(v.op.as_ref(), &operands, &parts, &v.output.shape, &mut got, out);
        }
        if sum {
            let shape = &v.output.shape;
            let added = &want.array(shape) + &start.array(shape);
            compare(&got.array(shape), &added, ADDED).map_err(|e| format!("summed over {chunks:?}: {e}"))?;
        } else if got.bits() != want.bits() {
            compare(&got.array(&v.output.shape), &want.array(&v.output.shape), super::case::EXACT)
                .map_err(|e| format!("chunks {chunks:?}: {e}"))?;
            return Err(format!("chunks {chunks:?}: signs of zeros differ"));
        }
    }
    Ok(())
}

/// What the output holds before the first chunk: sums add to numbers, other accumulating ops start at zero.
fn start(v: &Variant, sum: bool) -> Buffer {
    let (len, dtype) = (v.output.len(), v.output.dtype);
    match (sum, v.op.accumulates()) {
        (true, _) => Buffer::of((0..len).map(|i| 1.0 + (i % 7) as f64), dtype),
        (false, true) => Buffer::of(std::iter::repeat_n(0.0, len), dtype),
        (false, false) => Buffer::rubbish(len, dtype),
    }
}

/// Chunks of 1, 2 and 3 samples, and one short chunk before a long one.
fn chunkings(batch: usize) -> Vec<Vec<Range<usize>>> {
    let even = |size: usize| (0..batch).step_by(size).map(|i| i..batch.min(i + size)).collect();
    let mut out: Vec<Vec<Range<usize>>> = (1..=3).map(even).collect();
    out.push(vec![0..1, 1..batch]);
    out
}
