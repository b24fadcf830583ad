//! a < b, element by element.
use crate::elementwise::compare::Relation;

/// `less`: order, with broadcasting.
#[derive(Debug)]
pub struct Less;

impl Relation for Less {
    const NAME: &'static str = "less";
    const WGSL: &'static str = "<";

    #[inline(always)]
    fn holds<T: PartialOrd>(a: T, b: T) -> bool {
        a < b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::compare::cases::<Less>()
}
