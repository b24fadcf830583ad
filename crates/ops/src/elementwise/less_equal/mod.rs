//! a <= b, element by element.
use crate::elementwise::compare::Relation;

/// `less_equal`: order or equality, with broadcasting.
#[derive(Debug)]
pub struct LessEqual;

impl Relation for LessEqual {
    const NAME: &'static str = "less_equal";
    const WGSL: &'static str = "<=";

    #[inline(always)]
    fn holds<T: PartialOrd>(a: T, b: T) -> bool {
        a <= b
    }
}

#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    crate::elementwise::compare::cases::<LessEqual>()
}
