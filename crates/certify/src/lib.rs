//! Sound bounds in float64: Lipschitz constants from above and certificates.
