//! Products of matrices: every transposition, leading axes that broadcast, extents of one and none.
use serde_json::json;

use crate::testing::case::{Case, SUMMED, case, normal};

pub(crate) fn cases() -> Vec<Case> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    // Leading axes of a and b, then m, k, n.
    let shapes: [(&[usize], &[usize], [usize; 3]); 9] = [
        (&[], &[], [6, 5, 4]),
        (&[], &[], [4, 37, 19]),
        (&[], &[], [1, 6, 1]),
        (&[], &[], [3, 0, 2]),
        (&[], &[], [0, 3, 2]),
        (&[4], &[], [3, 2, 5]),
        (&[2, 3], &[3], [2, 3, 2]),
        (&[3], &[2, 1], [2, 2, 3]),
        (&[4], &[4], [2, 3, 3]),
    ];
    let of = |(a, b, [m, k, n]): (&[usize], &[usize], [usize; 3])| {
        flags.map(|(transpose_a, transpose_b)| {
            let last_a = if transpose_a { [k, m] } else { [m, k] };
            let last_b = if transpose_b { [n, k] } else { [k, n] };
            let inputs = [normal(&[a, &last_a].concat()), normal(&[b, &last_b].concat())];
            case("matmul", json!({ "transposeA": transpose_a, "transposeB": transpose_b }), inputs).within(SUMMED)
        })
    };
    shapes.into_iter().flat_map(of).collect()
}
