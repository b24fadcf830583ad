//! Sorting of neighbouring pairs, the GroupSort2 activation with channels last.
use crate::simd::{Level, Simd, dispatch};

/// y = x with each pair of neighbours in ascending order, NaN last. All have one even length.
pub fn group_sort2(level: Level, x: &[f32], y: &mut [f32]) {
    group_permute2(level, x, x, y);
}

/// y = v with each pair moved as sorting the pair of x moves it, which is its own inverse. All have one even length.
///
/// # Panics
/// If the lengths differ.
pub fn group_permute2(level: Level, x: &[f32], v: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len() && v.len() == y.len(), "pairs of {} and {} for {}", x.len(), v.len(), y.len());
    // SAFETY: the lengths were compared just now.
    unsafe { dispatch!(level, permute(x: &[f32], v: &[f32], y: &mut [f32])) };
}

/// # Safety
/// Where S may be used and all three slices have one length.
#[inline(always)]
unsafe fn permute<S: Simd>(x: &[f32], v: &[f32], y: &mut [f32]) {
    let whole = y.len() / S::LANES * S::LANES;
    let rest = y.len() - whole;
    // SAFETY: whole registers end at `whole` and the partial one at the length, which all three have.
    unsafe {
        for at in (0..whole).step_by(S::LANES) {
            let moved = S::permute_pairs(S::load(x.as_ptr().add(at)), S::load(v.as_ptr().add(at)));
            S::store(y.as_mut_ptr().add(at), moved);
        }
        if rest > 0 {
            let x = S::load_partial(x.as_ptr().add(whole), rest);
            let v = S::load_partial(v.as_ptr().add(whole), rest);
            S::store_partial(y.as_mut_ptr().add(whole), S::permute_pairs(x, v), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_stably_with_nan_last_at_every_level() {
        let values = [0.0, -0.0, 1.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.5];
        let x: Vec<f32> =
            values.iter().flat_map(|&a| values.iter().flat_map(move |&b| [a, b])).chain([3.0, 1.0]).collect();
        let places: Vec<f32> = (0..x.len()).map(|i| i as f32).collect();
        for level in Level::available() {
            let (mut sorted, mut moved) = (vec![9.0; x.len()], vec![9.0; x.len()]);
            group_sort2(level, &x, &mut sorted);
            group_permute2(level, &x, &places, &mut moved);
            for (i, pair) in x.chunks_exact(2).enumerate() {
                let exchange = !pair[1].is_nan() && (pair[0].is_nan() || pair[0] > pair[1]);
                let order = if exchange { [1, 0] } else { [0, 1] };
                for (k, &from) in order.iter().enumerate() {
                    assert_eq!(sorted[2 * i + k].to_bits(), pair[from].to_bits(), "{level:?} {pair:?}");
                    assert_eq!(moved[2 * i + k], (2 * i + from) as f32, "{level:?} {pair:?}");
                }
            }
        }
    }
}
