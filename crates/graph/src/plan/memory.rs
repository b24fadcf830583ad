//! Places values of known lifetimes in one arena: values that are never alive together share memory.

/// Alignment of every value: a cache line, and a full vector register.
pub const ALIGN: usize = 64;

/// A value that must keep its memory from position `start` to position `end`, both included.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// The first position.
    pub start: usize,
    /// The last position.
    pub end: usize,
    /// Its size.
    pub bytes: usize,
}

/// Total size and the offset of each interval: largest first, each at the lowest offset that is free all its life.
pub fn allocate(intervals: &[Interval]) -> (usize, Vec<usize>) {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(intervals[i].bytes), i));
    let mut offsets = vec![0; intervals.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for i in order {
        let it = intervals[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| intervals[j].start <= it.end && it.start <= intervals[j].end)
            .map(|&j| (offsets[j], offsets[j] + rounded(intervals[j].bytes)))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (from, to) in taken {
            if at + rounded(it.bytes) <= from {
                break;
            }
            at = at.max(to);
        }
        offsets[i] = at;
        total = total.max(at + rounded(it.bytes));
        placed.push(i);
    }
    (total, offsets)
}

fn rounded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_alive_together_never_overlap_and_others_share() {
        let mut seed = 1u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for _ in 0..200 {
            let intervals: Vec<Interval> = (0..12)
                .map(|_| {
                    let start = random(10) as usize;
                    Interval { start, end: start + random(4) as usize, bytes: random(300) as usize }
                })
                .collect();
            let (total, offsets) = allocate(&intervals);
            for (i, a) in intervals.iter().enumerate() {
                assert!(offsets[i] % ALIGN == 0 && offsets[i] + a.bytes <= total);
                for (j, b) in intervals.iter().enumerate().take(i) {
                    let together = a.start <= b.end && b.start <= a.end;
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
                }
            }
        }
        let one_after_another: Vec<Interval> =
            (0..5).map(|i| Interval { start: 2 * i, end: 2 * i + 1, bytes: 100 }).collect();
        assert_eq!(allocate(&one_after_another).0, 128);
    }
}
