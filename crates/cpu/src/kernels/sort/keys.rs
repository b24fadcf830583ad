//! Sorting by integers that hold a value's rank and its position: stable with a sort that is not, and branchless.

/// Keys from which on they are dealt out digit by digit: with fewer, counting digits takes longer than comparing.
const LEAST_DEALT: usize = 192;
/// Values of a digit, and digits of a rank.
const VALUES: usize = 256;
const DIGITS: usize = 4;

/// Floats of working memory for the keys of `n` values.
pub fn scratch(n: usize) -> usize {
    let keys = if n < LEAST_DEALT { n } else { 2 * n };
    // One more, as the memory may not begin at a multiple of eight bytes.
    2 * keys + 1
}

/// The keys of values, in working memory.
#[derive(Debug)]
pub struct Keys<'a> {
    keys: &'a mut [u64],
    /// As many again where they are dealt out.
    spare: &'a mut [u64],
}

impl<'a> Keys<'a> {
    /// Room for `n` keys.
    ///
    /// # Panics
    /// If the working memory is smaller than [`scratch`] says.
    pub fn new(scratch: &'a mut [f32], n: usize) -> Keys<'a> {
        // SAFETY: all bits are valid for both types, and `align_to_mut` leaves out what is not aligned.
        let (_, room, _) = unsafe { scratch.align_to_mut::<u64>() };
        let (keys, spare) = room.split_at_mut(n);
        let spare = if n < LEAST_DEALT { &mut [] } else { &mut spare[..n] };
        Keys { keys, spare }
    }

    /// Takes the keys of values with these ranks, one for each slot, and sorts them: by rank, then by position.
    pub fn sort(&mut self, ranks: impl Iterator<Item = u32>) {
        for ((key, position), rank) in self.keys.iter_mut().zip(0u64..).zip(ranks) {
            *key = u64::from(rank) << 32 | position;
        }
        if self.spare.is_empty() { self.keys.sort_unstable() } else { self.deal() }
    }

    /// The positions that sorted keys name, in order.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().map(|&key| key as u32 as usize)
    }

    /// Deals keys out by each digit of their ranks, the lowest first: equals stay in the order of their positions, in which they
    /// begin (Knuth, The Art of Computer Programming, volume 3, 5.2.5).
    fn deal(&mut self) {
        let mut counts = [[0u32; VALUES]; DIGITS];
        for &key in self.keys.iter() {
            counts.iter_mut().enumerate().for_each(|(digit, counts)| counts[value(key, digit)] += 1);
        }
        for (digit, counts) in counts.iter_mut().enumerate() {
            // What all have in common orders nothing.
            if counts[value(self.keys[0], digit)] as usize == self.keys.len() {
                continue;
            }
            let mut start = 0;
            for count in counts.iter_mut() {
                start += std::mem::replace(count, start);
            }
            for &key in self.keys.iter() {
                let place = &mut counts[value(key, digit)];
                self.spare[*place as usize] = key;
                *place += 1;
            }
            std::mem::swap(&mut self.keys, &mut self.spare);
        }
    }
}

/// A digit of the rank that a key holds.
fn value(key: u64, digit: usize) -> usize {
    (key >> (32 + 8 * digit)) as usize % VALUES
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
        let sizes = (0..50).chain(LEAST_DEALT - 2..LEAST_DEALT + 3).chain([500, 1024]);
        for n in sizes {
            for spread in [1, 3, 1000, u32::MAX] {
                let mut rank = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if state >> 28 == 0 { u32::MAX } else { state.rotate_left(16) % spread }
                };
                let ranks: Vec<u32> = (0..n).map(|_| rank()).collect();
                let mut want: Vec<usize> = (0..n).collect();
                want.sort_by_key(|&i| ranks[i]);
                let mut memory = vec![0.0; scratch(n)];
                let mut keys = Keys::new(&mut memory, n);
                // The second time they begin where the first has left them.
                for _ in 0..2 {
                    keys.sort(ranks.iter().copied());
                    assert_eq!(keys.positions().collect::<Vec<_>>(), want, "{ranks:?}");
                }
            }
        }
    }

    #[test]
    fn equal_ranks_stay_in_their_order_wherever_the_working_memory_begins() {
        for n in [8, LEAST_DEALT] {
            let ranks = [3, 1, 3, 0, 1, 1, u32::MAX, 0].into_iter().cycle().take(n);
            let mut want: Vec<usize> = (0..n).collect();
            want.sort_by_key(|&i| [3, 1, 3, 0, 1, 1, u32::MAX, 0][i % 8]);
            let mut memory = vec![0.0; scratch(n) + 1];
            for start in 0..2 {
                let mut keys = Keys::new(&mut memory[start..][..scratch(n)], n);
                keys.sort(ranks.clone());
                assert_eq!(keys.positions().collect::<Vec<_>>(), want);
            }
        }
    }
}
