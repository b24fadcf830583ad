//! Sorting by integers that hold a value's rank and its position: stable with a sort that is not, and branchless.

/// Floats of working memory for the keys of `n` values.
pub fn scratch(n: usize) -> usize {
    // One more, as the memory may not begin at a multiple of eight bytes.
    2 * n + 1
}

/// Room for `n` keys in working memory.
///
/// # Panics
/// If the working memory is smaller than [`scratch`] says.
pub fn keys(scratch: &mut [f32], n: usize) -> &mut [u64] {
    // SAFETY: all bits are valid for both types, and `align_to_mut` leaves out what is not aligned.
    let (_, keys, _) = unsafe { scratch.align_to_mut::<u64>() };
    &mut keys[..n]
}

/// Writes the keys of values with these ranks, one for each slot, and sorts them: by rank, then by position.
pub fn sort(keys: &mut [u64], ranks: impl Iterator<Item = u32>) {
    for ((key, position), rank) in keys.iter_mut().zip(0u64..).zip(ranks) {
        *key = u64::from(rank) << 32 | position;
    }
    keys.sort_unstable();
}

/// The positions that sorted keys name, in order.
pub fn positions(keys: &[u64]) -> impl Iterator<Item = usize> {
    keys.iter().map(|&key| key as u32 as usize)
}

/// An integer that orders as the float does: -0 as 0, NaN last.
#[inline(always)]
pub fn ascending(x: f32) -> u32 {
    // Positive floats order as their bits do; negative ones the other way round.
    let bits = x.to_bits();
    let ordered = bits ^ ((bits as i32 >> 31) as u32 | 1 << 31);
    match x {
        _ if x.is_nan() => u32::MAX,
        0.0 => 1 << 31,
        _ => ordered,
    }
}

/// An integer that orders the other way round, but NaN last too.
#[inline(always)]
pub fn descending(x: f32) -> u32 {
    if x.is_nan() { u32::MAX } else { !ascending(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERED: [f32; 9] =
        [f32::NEG_INFINITY, f32::MIN, -1.0, -f32::MIN_POSITIVE, 0.0, f32::MIN_POSITIVE, 1.0, f32::MAX, f32::INFINITY];

    #[test]
    fn ranks_order_as_floats_do_with_both_zeros_equal_and_nan_last_in_both_directions() {
        for pair in ORDERED.windows(2) {
            assert!(ascending(pair[0]) < ascending(pair[1]) && descending(pair[0]) > descending(pair[1]), "{pair:?}");
        }
        assert_eq!((ascending(0.0), descending(0.0)), (ascending(-0.0), descending(-0.0)));
        for nan in [f32::NAN, -f32::NAN] {
            assert_eq!((ascending(nan), descending(nan)), (u32::MAX, u32::MAX));
            assert!(ORDERED.iter().all(|&x| ascending(x) < u32::MAX && descending(x) < u32::MAX));
        }
    }

    #[test]
    fn ranks_are_sorted_as_a_stable_sort_does() {
        let mut state = 1u32;
        for n in 0..50 {
            for spread in [3, 1000, u32::MAX] {
                let mut rank = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if state >> 28 == 0 { u32::MAX } else { (state >> 8) % spread }
                };
                let ranks: Vec<u32> = (0..n).map(|_| rank()).collect();
                let mut want: Vec<usize> = (0..n).collect();
                want.sort_by_key(|&i| ranks[i]);
                let mut memory = vec![0.0; scratch(n)];
                let keys = keys(&mut memory, n);
                sort(keys, ranks.iter().copied());
                assert_eq!(positions(keys).collect::<Vec<_>>(), want, "{ranks:?}");
            }
        }
    }

    #[test]
    fn equal_ranks_stay_in_their_order_wherever_the_working_memory_begins() {
        let ranks = [3, 1, 3, 0, 1, 1, u32::MAX, 0];
        let mut memory = vec![0.0; scratch(ranks.len()) + 1];
        for start in 0..2 {
            let keys = keys(&mut memory[start..][..scratch(ranks.len())], ranks.len());
            sort(keys, ranks.into_iter());
            assert_eq!(positions(keys).collect::<Vec<_>>(), [3, 7, 1, 4, 5, 0, 2, 6]);
        }
    }
}
