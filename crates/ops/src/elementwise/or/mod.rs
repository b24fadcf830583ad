//! a or b.
use crate::elementwise::logic::Table;

/// `or`: true where one or both are, with broadcasting.
#[derive(Debug)]
pub struct Or;

impl Table for Or {
    const NAME: &'static str = "or";
    const WGSL: &'static str = "||";

    #[inline(always)]
    fn bytes(a: u8, b: u8) -> u8 {
        a | b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::logic::cases::<Or>()
}
