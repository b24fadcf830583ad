//! What many ops share: reading attributes, and the rules by which elementwise ops treat samples.
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use tslip_graph::{Error, Op, Operand, Result, Samples, Spec};

/// Reads an op's attributes into the struct that is the op. Missing, unknown and ill-typed ones are errors.
pub fn parse<T: Op + DeserializeOwned>(attributes: &Value) -> Result<Arc<dyn Op>> {
    let op: T = serde_json::from_value(attributes.clone()).map_err(|e| Error::argument(format!("bad attributes: {e}")))?;
    Ok(Arc::new(op))
}

/// Elementwise ops with broadcasting: cut what runs along the samples, give the rest whole.
pub fn elementwise_samples(inputs: &[Operand<'_>], output: &Spec) -> Samples {
    let runs = |o: &Operand<'_>| o.spec.rank() == output.rank() && o.spec.shape.first() == output.shape.first();
    if output.rank() == 0 || inputs.iter().any(|o| o.batched && !runs(o)) {
        return Samples::Whole;
    }
    Samples::PerSample { sliced: inputs.iter().map(runs).collect() }
}
