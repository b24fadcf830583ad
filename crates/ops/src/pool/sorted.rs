//! Pooling of channels sorted in pairs: what the fused blocks share, and where a graph has them.
// Circle: the rules put blocks in place that share functions with them.
use std::sync::Arc;
use tslip_graph::{Error, Fused, Result, Site, Spec};

use super::Window;
use super::l2_norm_pool2d::L2NormPool2d;
use super::l2_norm_pool2d_grad::L2NormPool2dGrad;
use super::sorted_l2_norm_pool2d::SortedL2NormPool2d;
use super::sorted_l2_norm_pool2d_grad::SortedL2NormPool2dGrad;
use crate::conv::Layout;
use crate::sort::group_permute::GroupPermute;
use crate::sort::group_sort::GroupSort;

/// The axis of channels where they are last.
const CHANNELS: usize = 3;

/// Sorts pairs of channels.
pub fn sorting() -> GroupSort {
    GroupSort { axis: CHANNELS, group_size: 2 }
}

/// Moves values as sorting pairs of channels does.
pub fn moving() -> GroupPermute {
    GroupPermute { axis: CHANNELS, group_size: 2, inverse: false }
}

/// Moves values back.
pub fn moving_back() -> GroupPermute {
    GroupPermute { inverse: true, ..moving() }
}

/// Refuses another layout than the kernels', and channels that do not divide into pairs.
pub fn channel_pairs(window: &Window, x: &Spec) -> Result<()> {
    window.windows(x)?;
    match x.shape[CHANNELS] {
        _ if window.layout != Layout::Nhwc => {
            Err(Error::argument("pooling of sorted channels is defined for the layout \"nhwc\" alone"))
        }
        c if c % 2 != 0 => Err(Error::shape(format!("{c} channels do not divide into pairs"))),
        _ => Ok(()),
    }
}

/// The block for an `l2_norm_pool2d` of pairs that are sorted for it alone.
pub fn fused_norm(site: &Site<'_>) -> Option<Fused> {
    let window = site.op::<L2NormPool2d>()?.0;
    let pooled = site.inputs[0];
    let (sort, inputs) = site.computed_by::<GroupSort>(pooled)?;
    let fits = window.layout == Layout::Nhwc && (site.only_here)(pooled) && *sort == sorting();
    fits.then(|| Fused { op: Arc::new(SortedL2NormPool2d(window)), inputs: inputs.to_vec() })
}

/// The block for a `group_permute` of pairs of channels of x that moves back the gradient of the norm of x sorted.
pub fn fused_gradient(site: &Site<'_>) -> Option<Fused> {
    let &[x, gradient] = site.inputs else { return None };
    if *site.op::<GroupPermute>()? != moving_back() || !(site.only_here)(gradient) {
        return None;
    }
    let (&L2NormPool2dGrad(window), of_norm) = site.computed_by::<L2NormPool2dGrad>(gradient)?;
    let (sort, sorted) = site.computed_by::<GroupSort>(of_norm[0])?;
    let fits = window.layout == Layout::Nhwc && *sort == sorting() && sorted == [x];
    fits.then(|| Fused { op: Arc::new(SortedL2NormPool2dGrad(window)), inputs: vec![x, of_norm[1], of_norm[2]] })
}
