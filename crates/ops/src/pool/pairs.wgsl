// CHANNELS neighbouring values of a pixel, which an invocation takes together: what is the same for all of them is computed once.
// SORTED: 1 where channels are sorted in pairs: ascending, NaN last, equals in their order.

alias Values = array<f32, CHANNELS>;

fn values(at: u32) -> Values {
    var out: Values;
    for (var c = 0u; c < CHANNELS; c++) {
        out[c] = load(at + c);
    }
    return out;
}

// Whether sorting exchanges a pair.
fn swapped(a: f32, b: f32) -> bool {
    if (is_nan(a) || is_nan(b)) {
        return !is_nan(b);
    }
    return b < a;
}

// The values, exchanged in pairs as sorting exchanges those of `by`.
fn exchanged(given: Values, by: Values) -> Values {
    var old = given;
    var keys = by;
    var out = given;
    if (SORTED == 1u) {
        for (var c = 1u; c < CHANNELS; c += 2u) {
            let swaps = swapped(keys[c - 1u], keys[c]);
            out[c - 1u] = select(old[c - 1u], old[c], swaps);
            out[c] = select(old[c], old[c - 1u], swaps);
        }
    }
    return out;
}
