//! What many ops share: reading attributes, checking operands, loops compiled for the machine's vectors, and the rules
//! by which elementwise ops treat samples and permuted axes.
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use tslip_cpu::simd::Level;
use tslip_graph::{Accuracy, Arranged, DType, Error, Op, Operand, Result, Samples, Spec};

/// Reads an op's attributes into the struct that is the op. Missing, unknown and ill-typed ones are errors.
pub fn parse<T: Op + DeserializeOwned>(attributes: &Value) -> Result<Arc<dyn Op>> {
    let op: T = read(attributes)?;
    Ok(Arc::new(op))
}

/// Accepts the attributes of an op that has none.
pub fn parse_none(attributes: &Value) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct None {}
    read::<None>(attributes).map(|_| ())
}

fn read<T: DeserializeOwned>(attributes: &Value) -> Result<T> {
    serde_json::from_value(attributes.clone()).map_err(|e| Error::argument(format!("bad attributes: {e}")))
}

/// The operands, if there are as many as the op takes.
pub fn operands<'a, const N: usize>(inputs: &[&'a Spec]) -> Result<[&'a Spec; N]> {
    <[&Spec; N]>::try_from(inputs).map_err(|_| {
        let plural = if N == 1 { "operand is" } else { "operands are" };
        Error::argument(format!("{N} {plural} needed, {} were given", inputs.len()))
    })
}

/// Refuses an operand of another type.
pub fn need(spec: &Spec, dtype: DType) -> Result<()> {
    if spec.dtype == dtype {
        return Ok(());
    }
    Err(Error::dtype(format!("an operand is {}, {dtype} is needed: use cast(\"{dtype}\")", spec.dtype)))
}

/// How exact a constant is in a tensor of floats: itself, or the nearest float.
pub fn constant(value: f64) -> Accuracy {
    if value.is_nan() || f64::from(value as f32) == value { Accuracy::Exact } else { Accuracy::Summed }
}

/// Elementwise ops with broadcasting: cut what runs along the samples, give the rest whole.
pub fn elementwise_samples(inputs: &[Operand<'_>], output: &Spec) -> Samples {
    let runs = |o: &Operand<'_>| o.spec.rank() == output.rank() && o.spec.shape.first() == output.shape.first();
    if output.rank() == 0 || inputs.iter().any(|o| o.batched && !runs(o)) {
        return Samples::Whole;
    }
    Samples::PerSample { sliced: inputs.iter().map(runs).collect() }
}

/// Elementwise ops with broadcasting: the same op on operands whose axes are permuted. An operand of lower rank can
/// follow if the permutation keeps its axes last; one of a single element need not.
pub fn elementwise_permuted(op: Arc<dyn Op>, axes: &[usize], inputs: &[&Spec]) -> Option<Arranged> {
    let follow = |spec: &&Spec| -> Option<Option<Vec<usize>>> {
        let lead = axes.len().checked_sub(spec.rank())?;
        if lead > 0 && spec.len() == 1 {
            return Some(None);
        }
        let own: Option<Vec<usize>> = axes[lead..].iter().map(|a| a.checked_sub(lead)).collect();
        own.map(|own| (!own.iter().copied().eq(0..own.len())).then_some(own))
    };
    let inputs = inputs.iter().map(follow).collect::<Option<Vec<_>>>()?;
    Some(Arranged { op, inputs, output: Some(axes.to_vec()) })
}

/// A loop to be compiled for several instruction sets.
pub trait Work {
    /// Does it. Implementations are `#[inline(always)]` and call only what is inlined, or the compiler falls back to
    /// the instructions that every machine has.
    fn run(self);
}

/// Runs `work` with the widest vectors of this machine. Nothing is fused or reordered: the result has the same bits
/// with each instruction set.
pub fn vectorized(work: impl Work) {
    /// # Safety
    /// Where the machine has these instructions.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
    fn avx512(work: impl Work) {
        work.run();
    }
    /// # Safety
    /// Where the machine has these instructions.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(work: impl Work) {
        work.run();
    }
    match Level::current().usable() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level that is `usable` was found to be this machine's, by each of the features that `avx512` enables.
        Level::Avx512 => unsafe { avx512(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the same of those that `avx2` enables.
        Level::Avx2 => unsafe { avx2(work) },
        _ => work.run(),
    }
}
