// The largest singular value from the trace of a high power of the Gram matrix. crates/cpu/src/spectral/norm.rs has the why.
// SQUARINGS: how often it is squared at most.

// Powers whose trace has lost no more than this share by squaring are of rank one.
const RANK_ONE: f32 = 1e-3;

// (value 2^exponent)^(1 / 2^roots), for a value of moderate size, by roots alone: logarithms are not exact enough.
fn root(value: f32, exponent: i32, roots: u32) -> f32 {
    var v = value;
    var n = exponent;
    for (var k = 0u; k < roots; k++) {
        if ((n & 1) != 0) {
            v *= 2.0;
            n -= 1;
        }
        v = tslip_sqrt(v);
        n = n >> 1u;
    }
    return v * power_of_two(n);
}

// Writes the norm of the weight from that of the scaled one; it is wanted unless `place` is NONE.
fn write_norm(grid: Grid, place: u32, sigma: f32, scale: Scale) {
    if (word(grid, place) == NONE) {
        return;
    }
    let half = scale.exponent / 2;
    var norm = sigma * power_of_two(half) * power_of_two(scale.exponent - half);
    if (scale.kind == ZERO) {
        norm = 0.0;
    } else if (scale.kind == NOT_FINITE) {
        norm = quiet_nan();
    }
    store(address(grid, place), norm);
}

// What X M, for a power M, is to be multiplied by for the gradient: sigma / <X M, X>, where <X M, X> = <M, XᵀX>.
fn gradient_factor(sigma: f32, inner: f32, kind: u32) -> f32 {
    if (kind == ZERO) {
        return 0.0;
    }
    return select(tslip_divide(sigma, inner), quiet_nan(), kind == NOT_FINITE);
}
