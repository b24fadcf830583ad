//! Sound bounds in float64: Lipschitz constants from above and certificates.
//!
//! Every bound is proved: float64 arithmetic with each rounding accounted for, as the documentation of the function says.
//! What is found only, for people to look at, is in `singular`.
mod axis;
mod cholesky;
mod convolution;
mod error;
mod forward;
mod gram;
mod kernel;
mod lanczos;
mod local;
mod network;
mod norm;
mod operator;
mod outputs;
mod product;
mod radius;
mod rounding;
mod rows;
mod singular;
#[cfg(test)]
mod test_support;
mod torus;

pub use axis::{Axis, PaddingMode, overlap};
pub use convolution::{
    ConvolutionOptions, conv2d_gain_upper, conv2d_lipschitz_upper, convolution_factor, convolution_overlap,
};
pub use error::{Code, Error, Result};
pub use forward::{Claim, forward_slack, forward_slack_by_rows};
pub use local::{Everywhere, LocalNetwork, Piece, Sample};
pub use network::{RoundedLayer, Step, lipschitz_upper};
pub use norm::spectral_norm_upper;
pub use outputs::{OutputBound, intervals_rounded_outward, sign_radii_rounded_down};
pub use radius::{
    Certificates, Head, HeadKind, Slack, Spreads, certificate_radius, certificate_radius_rounded_down,
    leads_rounded_up, row_norms,
};
pub use rows::row_distances_upper;
pub use singular::singular_values;
