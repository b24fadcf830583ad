//! The smallest element.
use super::extremum::Extremum;

/// `min` and `argmin`: the smallest element and the first position of it; NaN if there is one.
#[derive(Debug)]
pub struct Min;

impl Extremum for Min {
    const NAME: &'static str = "min";
    const POSITION: &'static str = "argmin";

    #[inline(always)]
    fn beats<T: PartialOrd>(a: T, b: T) -> bool {
        a < b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    super::extremum::cases::<Min>()
}
