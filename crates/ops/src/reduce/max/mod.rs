//! The largest element.
use super::extremum::Extremum;

/// `max` and `argmax`: the largest element and the first position of it; NaN if there is one.
#[derive(Debug)]
pub struct Max;

impl Extremum for Max {
    const NAME: &'static str = "max";
    const POSITION: &'static str = "argmax";

    #[inline(always)]
    fn beats<T: PartialOrd>(a: T, b: T) -> bool {
        a > b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    super::extremum::cases::<Max>()
}
