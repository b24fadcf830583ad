//! Sorting in groups at every level against a stable sort of the standard library, bit for bit.
use tslip_cpu::kernels::sort::{Direction, Groups, group_permute, group_sort};
use tslip_cpu::simd::Level;

mod common;
use common::noise;

/// Ties, both zeros, infinities, NaN.
const ODD: [f32; 10] = [0.0, -0.0, 1.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.5, f32::MAX, f32::MIN];

/// For each group the flat indices of its members, in order.
fn orders(groups: &Groups, x: &[f32]) -> Vec<Vec<usize>> {
    let Groups { outer, size, stride } = *groups;
    let firsts = (0..outer).flat_map(|block| (0..stride).map(move |i| block * size * stride + i));
    firsts
        .map(|first| {
            let mut order: Vec<usize> = (0..size).map(|k| first + k * stride).collect();
            order.sort_by(|&a, &b| x[a].partial_cmp(&x[b]).unwrap_or_else(|| x[a].is_nan().cmp(&x[b].is_nan())));
            order
        })
        .collect()
}

fn agree(groups: &Groups, x: &[f32]) {
    let places: Vec<f32> = (0..x.len()).map(|i| i as f32).collect();
    let (mut sorted, mut moved, mut back) = (x.to_vec(), places.clone(), places.clone());
    for order in orders(groups, x) {
        let mut at = order.clone();
        at.sort_unstable();
        for (&to, &from) in at.iter().zip(&order) {
            (sorted[to], moved[to], back[from]) = (x[from], places[from], places[to]);
        }
    }
    let bits = |v: &[f32]| -> Vec<u32> { v.iter().map(|v| v.to_bits()).collect() };
    for level in Level::available() {
        let mut scratch = vec![f32::NAN; groups.scratch()];
        let mut y = vec![9.0; x.len()];
        group_sort(level, groups, x, &mut y, &mut scratch);
        assert_eq!(bits(&y), bits(&sorted), "{level:?} {groups:?} sorted");
        for (direction, want) in [(Direction::Sorting, &moved), (Direction::Back, &back)] {
            y.fill(9.0);
            group_permute(level, groups, direction, x, &places, &mut y, &mut scratch);
            assert_eq!(&y, want, "{level:?} {groups:?} {direction:?}");
        }
    }
}

fn each_geometry(run: impl Fn(&Groups)) {
    for size in (1..=12).chain([16, 33, 64, 65, 100]) {
        for (outer, stride) in [(1, 1), (2, 1), (17, 1), (35, 1), (3, 5), (1, 16), (2, 37), (0, 3)] {
            run(&Groups { outer, size, stride });
        }
    }
}

#[test]
fn groups_of_every_size_are_sorted_wherever_their_members_lie() {
    each_geometry(|g| agree(g, &noise(7, g.outer * g.size * g.stride)));
}

#[test]
fn ties_zeros_and_nan_keep_their_order() {
    each_geometry(|g| {
        let x = noise(11, g.outer * g.size * g.stride);
        let pick = |v: &f32| ODD[(v.abs() * 1e4) as usize % ODD.len()];
        agree(g, &x.iter().map(pick).collect::<Vec<_>>());
        agree(g, &x.iter().map(|v| (v * 3.0).round()).collect::<Vec<_>>());
    });
}

#[test]
fn every_order_of_small_groups_is_sorted() {
    for size in 2..=5_usize {
        let all = size.pow(size as u32);
        // All words of `size` letters, so all permutations and all ties.
        let x: Vec<f32> =
            (0..all).flat_map(|word| (0..size).map(move |k| (word / size.pow(k as u32) % size) as f32)).collect();
        agree(&Groups { outer: all, size, stride: 1 }, &x);
    }
}
