//! A group of ops as one list: a line an op.

/// Declares the ops of a folder: for each its module, the name under which it is registered and what makes it from attributes.
/// Every module has `cases()`, what the op is tried on.
macro_rules! group {
    ($($module:ident: $name:literal => $make:expr),* $(,)?) => {
        $(pub mod $module;)*

        /// Adds the ops of this folder.
        pub fn register(ops: &mut tslip_graph::Registry) {
            $(ops.insert($name, $make);)*
        }

        /// Cases of the ops of this folder.
        #[cfg(test)]
        pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
            [$($module::cases()),*].concat()
        }
    };
}
pub(crate) use group;
