//! a and b.
use crate::elementwise::logic::Table;

/// `and`: true where both are, with broadcasting.
#[derive(Debug)]
pub struct And;

impl Table for And {
    const NAME: &'static str = "and";
    const WGSL: &'static str = "&&";

    #[inline(always)]
    fn bytes(a: u8, b: u8) -> u8 {
        a & b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::logic::cases::<And>()
}
