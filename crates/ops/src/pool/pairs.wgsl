// Channels sorted in pairs, if SORTED is 1: ascending, NaN last, equals in their order.

// Whether the channels of a pair change places.
fn swapped(a: f32, b: f32) -> bool {
    if (is_nan(a) || is_nan(b)) {
        return !is_nan(b);
    }
    return b < a;
}

// The value of a channel at an index, as sorting leaves it.
fn sorted_value(at: u32, channel: u32) -> f32 {
    let own = load(at);
    if (SORTED == 0u) {
        return own;
    }
    let odd = channel % 2u == 1u;
    let other = load(select(at + 1u, at - 1u, odd));
    let swaps = swapped(select(own, other, odd), select(other, own, odd));
    return select(own, other, swaps);
}

// The channel to which sorting brings a value.
fn sorted_channel(at: u32, channel: u32) -> u32 {
    if (SORTED == 0u) {
        return channel;
    }
    let odd = channel % 2u == 1u;
    let own = load(at);
    let other = load(select(at + 1u, at - 1u, odd));
    let swaps = swapped(select(own, other, odd), select(other, own, odd));
    return select(channel, channel ^ 1u, swaps);
}
