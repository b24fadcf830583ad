// exp, log, tanh and their kin as on the CPU (math.rs): WGSL's own are too inexact. The coefficients are those of S. Moshier's
// Cephes library.

fn tslip_power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// e^x 2^n, where n may lie beyond what one exponent holds.
fn tslip_exp_scaled(x: f32, n: i32) -> f32 {
    let half = n >> 1u;
    return x * tslip_power_of_two(half) * tslip_power_of_two(n - half);
}

fn tslip_exp(given: f32) -> f32 {
    if (is_nan(given)) {
        return given;
    }
    let x = clamp(given, -104.0, 89.0);
    let whole = round(x * 1.44269504);
    let r = x - whole * 0.693359375 - whole * -2.12194440e-4;
    var p = 1.9875692e-4;
    p = p * r + 1.3982e-3;
    p = p * r + 8.333452e-3;
    p = p * r + 4.1665796e-2;
    p = p * r + 1.6666665e-1;
    p = p * r + 5.0000001e-1;
    return tslip_exp_scaled(p * (r * r) + r + 1.0, i32(whole));
}

// log m for x = m 2^e, with m from sqrt(1/2) to sqrt(2), and e; for finite x above 0.
fn tslip_log_parts(x: f32) -> vec2<f32> {
    // Subnormal numbers are brought among the others first, on bits: arithmetic may take them for zero.
    let bits = bitcast<u32>(x);
    let small = bits < 0x00800000u;
    let scaled = select(bits, bitcast<u32>(f32(bits)) - (126u << 23u), small);
    let from_root = scaled - 0x3f3504f3u;
    let e = bitcast<i32>(from_root) >> 23u;
    let m = bitcast<f32>(scaled - (bitcast<u32>(e) << 23u));
    let r = m - 1.0;
    let z = r * r;
    var p = 7.0376836e-2;
    p = p * r - 1.151461e-1;
    p = p * r + 1.1676999e-1;
    p = p * r - 1.2420141e-1;
    p = p * r + 1.4249323e-1;
    p = p * r - 1.6668058e-1;
    p = p * r + 2.0000715e-1;
    p = p * r - 2.4999994e-1;
    p = p * r + 3.3333331e-1;
    return vec2(r + (p * r * z - 0.5 * z), f32(e) - select(0.0, 23.0, small));
}

fn tslip_log(x: f32) -> f32 {
    if (is_nan(x) || x < 0.0) {
        return quiet_nan();
    }
    if ((bitcast<u32>(x) & 0x7fffffffu) == 0u) {
        return -infinity();
    }
    if (!is_finite(x)) {
        return x;
    }
    let parts = tslip_log_parts(x);
    return (parts.x + parts.y * -2.12194440e-4) + parts.y * 0.693359375;
}

fn tslip_copy_sign(size: f32, signed: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(size) & 0x7fffffffu) | (bitcast<u32>(signed) & 0x80000000u));
}

fn tslip_tanh(x: f32) -> f32 {
    if (is_nan(x)) {
        return x;
    }
    let size = abs(x);
    if (size < 0.625) {
        let z = x * x;
        var p = -5.7049888e-3;
        p = p * z + 2.0639089e-2;
        p = p * z - 5.3739715e-2;
        p = p * z + 1.3331441e-1;
        p = p * z - 3.3333281e-1;
        return tslip_copy_sign(p * z * x + x, x);
    }
    return tslip_copy_sign(1.0 - 2.0 / (tslip_exp(size + size) + 1.0), x);
}

fn tslip_sigmoid(x: f32) -> f32 {
    // Of e^x and e^-x the one that does not overflow.
    let e = tslip_exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

fn tslip_atanh(x: f32) -> f32 {
    let size = abs(x);
    if (is_nan(x) || size > 1.0) {
        return quiet_nan();
    }
    if (size == 1.0) {
        return tslip_copy_sign(infinity(), x);
    }
    if (size < 0.5) {
        let z = x * x;
        var p = 1.8174008e-1;
        p = p * z + 8.2437030e-2;
        p = p * z + 1.4669143e-1;
        p = p * z + 1.9978216e-1;
        p = p * z + 3.3333730e-1;
        return p * z * x + x;
    }
    return tslip_copy_sign(0.5 * tslip_log((1.0 + size) / (1.0 - size)), x);
}

// a^b with all the special cases of C's pow. With a = m 2^e the result is 2^(b e) m^b: the whole part of b e is an exponent, so
// that no accuracy is lost to its size.
fn tslip_pow(a: f32, b: f32) -> f32 {
    if (b == 0.0 || a == 1.0) {
        return 1.0;
    }
    if (is_nan(a) || is_nan(b)) {
        return quiet_nan();
    }
    let size = abs(a);
    let whole = abs(b) >= 8388608.0 || floor(b) == b;
    let odd = whole && abs(b) < 16777216.0 && (i32(b) & 1) == 1;
    let negative = (bitcast<u32>(a) >> 31u) == 1u;
    var y = 0.0;
    if (!is_finite(b)) {
        if (size == 1.0) {
            return 1.0;
        }
        return select(0.0, infinity(), (size > 1.0) == (b > 0.0));
    } else if ((bitcast<u32>(size)) == 0u) {
        y = select(infinity(), 0.0, b > 0.0);
    } else if (!is_finite(size)) {
        y = select(0.0, infinity(), b > 0.0);
    } else {
        if (negative && !whole) {
            return quiet_nan();
        }
        let parts = tslip_log_parts(size);
        // Beyond, all results are 0, 1 or infinite; no product may overflow, in whatever order a compiler forms it.
        let exponent = clamp(b, -1e10, 1e10);
        let first = round(clamp(exponent * parts.y, -1000.0, 1000.0));
        let rest = clamp(fma(exponent, parts.y, -first) + exponent * parts.x * 1.44269504, -1000.0, 1000.0);
        let second = round(rest);
        let n = clamp(first + second, -240.0, 240.0);
        y = tslip_exp_scaled(tslip_exp((rest - second) * 0.693147181), i32(n));
        y = select(y, infinity(), first + second > 130.0);
        y = select(y, 0.0, first + second < -160.0);
    }
    return select(y, -y, negative && odd);
}

// 1 - e^(t rate) for t >= 0 and rate < 0, the rate in two parts.
fn tslip_bias_correction(t: f32, high: f32, low: f32) -> f32 {
    let product = t * high;
    let x = product + (fma(t, high, -product) + t * low);
    if (x < -0.7) {
        return 1.0 - tslip_exp(x);
    }
    // Taylor's series: what is left out is below rounding.
    var p = 2.7557319e-7;
    p = p * x + 2.7557319e-6;
    p = p * x + 2.4801587e-5;
    p = p * x + 1.9841270e-4;
    p = p * x + 1.3888889e-3;
    p = p * x + 8.3333333e-3;
    p = p * x + 4.1666667e-2;
    p = p * x + 1.6666667e-1;
    p = p * x + 0.5;
    return -(p * x * x + x);
}
