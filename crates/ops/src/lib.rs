//! The operations, one folder each, and their registry.
