// The power of two that brings a weight's largest magnitude into [1, 2).

const ORDINARY: u32 = 0u;
const ZERO: u32 = 1u;
const NOT_FINITE: u32 = 2u;

struct Scale {
    kind: u32,
    // The weight is the scaled one times 2 to this power.
    exponent: i32,
    // In two factors, as 2^-127 is no normal number.
    first: f32,
    second: f32,
}

var<workgroup> maxima: array<u32, WORKGROUP>;

fn largest_of(local: u32, bits: u32) -> u32 {
    maxima[local] = bits;
    for (var half = WORKGROUP / 2u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (local < half) {
            maxima[local] = max(maxima[local], maxima[local + half]);
        }
    }
    return workgroupUniformLoad(&maxima[0]);
}

fn power_of_two(exponent: i32) -> f32 {
    return bitcast<f32>(u32(exponent + 127) << 23u);
}

// The largest n with 2^n <= x, for normal positive numbers.
fn exponent_of(x: f32) -> i32 {
    return i32(bitcast<u32>(x) >> 23u) - 127;
}

// From the bits of the largest magnitudes of parts of the weight, at most WORKGROUP of them; 1 where there are none.
fn scale_of(local: u32, count: u32, first: u32) -> Scale {
    if (count == 0u) {
        return Scale(ORDINARY, 0, 1.0, 1.0);
    }
    var bits = 0u;
    if (local < count) {
        bits = heap[first + local];
    }
    return scale_from(largest_of(local, bits));
}

// From the bits of the largest magnitude.
fn scale_from(largest: u32) -> Scale {
    if (largest >= 0x7f800000u) {
        return Scale(NOT_FINITE, 0, 1.0, 1.0);
    }
    // Subnormal numbers are zero.
    if (largest < 0x00800000u) {
        return Scale(ZERO, 0, 1.0, 1.0);
    }
    let exponent = exponent_of(bitcast<f32>(largest));
    let half = -exponent / 2;
    return Scale(ORDINARY, exponent, power_of_two(half), power_of_two(-exponent - half));
}
