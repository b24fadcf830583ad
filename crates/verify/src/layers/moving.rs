//! Layers that move, choose or drop numbers, or change their sign, and may scale them.
use serde::Deserialize;

use super::{Built, Given, Layer, Pair, checked, constant, count, one, scaled};
use crate::rounding::Rounding;
use crate::work::{Stopped, Work};

pub(super) fn build(kind: &str, of: &Given<'_>) -> Option<Built> {
    Some(match kind {
        "Flatten" => plain(of, vec![count(of.sample)]),
        "Identity" => plain(of, of.sample.to_vec()),
        "Unflatten" => unflatten(of),
        "ReLU" => relu(of),
        "GroupSort" => {
            of.read().and_then(|GroupSortOptions { group_size, k_coef_lip }| sort(of, group_size, k_coef_lip))
        }
        "GroupSort2" => of.read().and_then(|Scale { k_coef_lip }| sort(of, 2, k_coef_lip)),
        "FullSort" => of.read().and_then(|Scale { k_coef_lip }| sort(of, usize::MAX, k_coef_lip)),
        "MaxMin" => max_min(of),
        "InvertibleDownSampling" => sampling(of, true),
        "InvertibleUpSampling" => sampling(of, false),
        _ => return None,
    })
}

/// What becomes of the numbers of a sample before they are scaled.
type Moved = Box<dyn Fn(&[f64]) -> Vec<f64> + Send + Sync>;

struct Moving {
    moved: Moved,
    k: f64,
    shape: Vec<usize>,
}

impl Moving {
    fn built(shape: Vec<usize>, k: f64, moved: Moved) -> Built {
        Ok(Box::new(Moving { moved, k: constant(k)?, shape: checked(shape)? }))
    }
}

impl Layer for Moving {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        scaled((self.moved)(x), self.k)
    }

    fn lipschitz(&self, _norm: f64) -> f64 {
        self.k
    }

    fn rounding(&self, _norm: f64, _work: &Work) -> Result<Rounding, Stopped> {
        Ok(Rounding { roundings: usize::from(self.k != 1.0), ..Rounding::default() })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn plain(of: &Given<'_>, shape: Vec<usize>) -> Built {
    let Nothing {} = of.read()?;
    Moving::built(shape, 1.0, Box::new(|x| x.to_vec()))
}

fn relu(of: &Given<'_>) -> Built {
    let Nothing {} = of.read()?;
    Moving::built(of.sample.to_vec(), 1.0, Box::new(|x| x.iter().map(|x| x.max(0.0)).collect()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UnflattenOptions {
    dim: i64,
    unflattened_size: Vec<i64>,
}

fn unflatten(of: &Given<'_>) -> Built {
    let UnflattenOptions { dim, unflattened_size } = of.read()?;
    let at = of.axis(dim)?;
    let known = unflattened_size
        .iter()
        .filter(|n| **n != -1)
        .try_fold(1_usize, |all, n| usize::try_from(*n).ok().and_then(|n| all.checked_mul(n)).filter(|n| *n > 0));
    let open = unflattened_size.iter().filter(|n| **n == -1).count();
    let extent = of.sample[at];
    let Some(known) =
        known.filter(|known| open <= 1 && extent.is_multiple_of(*known) && (open == 1 || extent == *known))
    else {
        return Err(format!("it makes {unflattened_size:?} of an axis of {extent}"));
    };
    let sizes = unflattened_size.iter().map(|n| usize::try_from(*n).unwrap_or(extent / known));
    let mut shape = of.sample.to_vec();
    shape.splice(at..=at, sizes);
    Moving::built(shape, 1.0, Box::new(|x| x.to_vec()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupSortOptions {
    group_size: usize,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scale {
    #[serde(default = "one")]
    k_coef_lip: f64,
}

/// Groups of neighbouring channels, each sorted.
fn sort(of: &Given<'_>, group: usize, k: f64) -> Built {
    let (channels, each) = of.channels()?;
    let group = group.min(channels);
    if group == 0 || channels % group != 0 {
        return Err(format!("its groups of {group} do not divide {channels} channels"));
    }
    let moved = move |x: &[f64]| {
        let mut y = vec![0.0; x.len()];
        let mut sorted = vec![0.0; group];
        for first in (0..channels).step_by(group) {
            for at in 0..each {
                let place = |i: usize| (first + i) * each + at;
                sorted.iter_mut().enumerate().for_each(|(i, value)| *value = x[place(i)]);
                sorted.sort_by(f64::total_cmp);
                sorted.iter().enumerate().for_each(|(i, value)| y[place(i)] = *value);
            }
        }
        y
    };
    Moving::built(of.sample.to_vec(), k, Box::new(moved))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MaxMinOptions {
    #[serde(default = "first")]
    dim: i64,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

fn first() -> i64 {
    1
}

/// Positive parts, then negative ones, along an axis.
fn max_min(of: &Given<'_>) -> Built {
    let MaxMinOptions { dim, k_coef_lip } = of.read()?;
    let at = of.axis(dim)?;
    let run = count(&of.sample[at..]);
    let mut shape = of.sample.to_vec();
    shape[at] *= 2;
    let parts = move |x: &[f64]| {
        let both = |run: &[f64]| -> Vec<f64> {
            run.iter().map(|x| x.max(0.0)).chain(run.iter().map(|x| (-x).max(0.0))).collect()
        };
        x.chunks_exact(run).flat_map(both).collect()
    };
    Moving::built(shape, k_coef_lip, Box::new(parts))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SamplingOptions {
    kernel_size: Pair,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

/// Pixels of blocks to channels (`down`), or the other way: channel c kh kw + y kw + x has those in row y and column x of all blocks of channel c.
fn sampling(of: &Given<'_>, down: bool) -> Built {
    let SamplingOptions { kernel_size, k_coef_lip } = of.read()?;
    let ([channels, rows, columns], [kh, kw]) = (of.images()?, kernel_size.get());
    let pixels = kh.checked_mul(kw).filter(|n| *n > 0).ok_or("its blocks have no size")?;
    let fits = if down { rows % kh == 0 && columns % kw == 0 } else { channels % pixels == 0 };
    if !fits {
        return Err(format!("its blocks of {kh} by {kw} do not divide a sample of shape {:?}", of.sample));
    }
    // The images with the larger channels, and those with the larger rows and columns.
    let [deep, wide] = if down {
        [[channels * pixels, rows / kh, columns / kw], [channels, rows, columns]]
    } else {
        [[channels, rows, columns], [channels / pixels, rows * kh, columns * kw]]
    };
    let place = move |at: usize| {
        let (column, row, channel) = (at % deep[2], at / deep[2] % deep[1], at / deep[2] / deep[1]);
        let (block, inside) = (channel / pixels, channel % pixels);
        (block * wide[1] + row * kh + inside / kw) * wide[2] + column * kw + inside % kw
    };
    let moved = move |x: &[f64]| {
        let mut y = vec![0.0; x.len()];
        for at in 0..x.len() {
            let (from, to) = if down { (place(at), at) } else { (at, place(at)) };
            y[to] = x[from];
        }
        y
    };
    let shape = if down { deep } else { wide };
    Moving::built(shape.to_vec(), k_coef_lip, Box::new(moved))
}
