// How far the squaring of the Gram matrix of a weight with p > 64 is, which takes a launch each time.

// After a squaring, at three words each. The power that was written is G^(2^squarings) / 2^exponent.
struct Known {
    // Squarings after which no more were needed; 0 if they are.
    enough: u32,
    exponent: i32,
    // Of the power where no more are needed, else of what was squared.
    trace: f32,
}

fn known(first: u32, k: u32) -> Known {
    let at = first + 3u * k;
    return Known(heap[at], load_i32(at + 1u), load(at + 2u));
}

fn note(first: u32, k: u32, value: Known) {
    let at = first + 3u * k;
    heap[at] = value.enough;
    store_i32(at + 1u, value.exponent);
    store(at + 2u, value.trace);
}

fn trace_of(local: u32, p: u32, first: u32) -> f32 {
    var sum = 0.0;
    for (var i = local; i < p; i += WORKGROUP) {
        sum += load(first + i * (p + 1u));
    }
    return summed(local, sum);
}

// What is known before squaring k of a power, with the trace of that power.
fn standing(local: u32, k: u32, p: u32, power: u32, first: u32) -> Known {
    var before = Known(0u, 0, 0.0);
    if (k > 0u) {
        before = known(first, k - 1u);
        if (agreed(local, before.enough) != 0u) {
            return before;
        }
    }
    let trace = trace_of(local, p, power);
    let alone = k > 0u && trace >= (1.0 - RANK_ONE) * before.trace * before.trace;
    return Known(select(0u, k, alone || k == SQUARINGS), before.exponent, trace);
}
