//! a = b, element by element.
use crate::elementwise::compare::Relation;

/// `equal`: equality, with broadcasting.
#[derive(Debug)]
pub struct Equal;

impl Relation for Equal {
    const NAME: &'static str = "equal";
    const WGSL: &'static str = "==";

    #[inline(always)]
    fn holds<T: PartialOrd>(a: T, b: T) -> bool {
        a == b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::compare::cases::<Equal>()
}
