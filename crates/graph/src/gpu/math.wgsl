// exp, log, tanh and their kin as on the CPU (math.rs): WGSL's own are too inexact. Sums and products give results as exact
// whether or not a compiler fuses them. The coefficients are those of S. Moshier's Cephes library.

fn tslip_power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// e^x 2^n, where n may lie beyond what one exponent holds.
fn tslip_exp_scaled(x: f32, n: i32) -> f32 {
    let half = n >> 1u;
    return x * tslip_power_of_two(half) * tslip_power_of_two(n - half);
}

// e^(high + low) for sums up to 0.36, low being the smaller.
fn tslip_exp_near(high: f32, low: f32) -> f32 {
    let x = high + low;
    let rest = low - (x - high);
    var p = 1.9875692e-4;
    p = p * x + 1.3982e-3;
    p = p * x + 8.333452e-3;
    p = p * x + 4.1665796e-2;
    p = p * x + 1.6666665e-1;
    p = p * x + 5.0000001e-1;
    // 1 and the first bits of x have an exact sum, so that no rounding but the last counts.
    let first = round(x * 4096.0) * 2.44140625e-4;
    return (1.0 + first) + ((x - first) + (p * (x * x) + rest));
}

fn tslip_exp(given: f32) -> f32 {
    if (is_nan(given)) {
        return given;
    }
    let x = clamp(given, -104.0, 89.0);
    let whole = round(x * 1.44269504);
    return tslip_exp_scaled(tslip_exp_near(x - whole * 0.693359375, whole * 2.12194440e-4), i32(whole));
}

// The bits of a finite x above 0, with its exponent if that is subnormal: arithmetic may take those for zero. The second is
// what is to be taken off the exponent for it.
fn tslip_normal(x: f32) -> vec2<u32> {
    let bits = bitcast<u32>(x);
    let small = bits < 0x00800000u;
    return vec2(select(bits, bitcast<u32>(f32(bits)) - (126u << 23u), small), select(0u, 23u, small));
}

fn tslip_log(x: f32) -> f32 {
    if (is_nan(x) || (bitcast<u32>(x) > 0x80000000u)) {
        return quiet_nan();
    }
    if ((bitcast<u32>(x) & 0x7fffffffu) == 0u) {
        return -infinity();
    }
    if (!is_finite(x)) {
        return x;
    }
    // x = m 2^e with m from sqrt(1/2) to sqrt(2).
    let normal = tslip_normal(x);
    let e = bitcast<i32>(normal.x - 0x3f3504f3u) >> 23u;
    let r = bitcast<f32>(normal.x - (bitcast<u32>(e) << 23u)) - 1.0;
    let n = f32(e - i32(normal.y));
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
    return (r + (p * r * z + n * -2.12194440e-4 - 0.5 * z)) + n * 0.693359375;
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
    return tslip_copy_sign(1.0 - tslip_divide(2.0, tslip_exp(size + size) + 1.0), x);
}

fn tslip_sigmoid(x: f32) -> f32 {
    // Of e^x and e^-x the one that does not overflow.
    let e = tslip_exp(-abs(x));
    return tslip_divide(select(1.0, e, x < 0.0), 1.0 + e);
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
    return tslip_copy_sign(0.5 * tslip_log(tslip_divide(1.0 + size, 1.0 - size)), x);
}

// The first 12 significant bits: a product of two such floats is exact.
fn tslip_leading(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// The base 2 logarithm of a finite x above 0 as the sum of two floats, the first of 12 bits; right to some 2^-35 of it. The
// method of powf in Sun's fdlibm: x = 2^e m with m near c, which is 1 or 1.5, and log(m / c) = 2 artanh s with
// s = (m - c) / (m + c), everything in two parts of which the first have exact products.
fn tslip_log2(x: f32) -> vec2<f32> {
    let normal = tslip_normal(x);
    // m from sqrt(3) / 2 to sqrt(3).
    let e = bitcast<i32>(normal.x - 0x3f5db3d7u) >> 23u;
    let m = bitcast<f32>(normal.x - (bitcast<u32>(e) << 23u));
    let above = m > 1.2247449;
    let c = select(1.0, 1.5, above);
    let difference = m - c;
    let total = m + c;
    let total_high = tslip_leading(total);
    let total_low = m - (total_high - c);
    let s_high = tslip_leading(difference / total);
    let s_low = ((difference - s_high * total_high) - s_high * total_low) / total;
    let s = s_high + s_low;
    // 3 artanh(s) / s = 3 + s^2 + 3/5 s^4 + 3/7 s^6 + ...
    let z = s * s;
    var p = 2.72727273e-1;
    p = p * z + 3.33333333e-1;
    p = p * z + 4.28571429e-1;
    p = p * z + 0.6;
    let r = p * (z * z) + s_low * (s_high + s);
    let square = s_high * s_high;
    let t_high = tslip_leading(3.0 + square + r);
    let t_low = r - ((t_high - 3.0) - square);
    let product = s_high * t_high;
    let more = s_low * t_high + t_low * s;
    let artanh_high = tslip_leading(product + more);
    let artanh_low = more - (artanh_high - product);
    // 2 / (3 log 2) in two parts, and log2(1.5).
    let high = 9.6191406250e-1 * artanh_high;
    let low = -1.1736857402e-4 * artanh_high + artanh_low * 9.6179670e-1 + select(0.0, 1.56322085e-6, above);
    let of_c = select(0.0, 5.84960938e-1, above);
    let n = f32(e - i32(normal.y));
    let first = tslip_leading(((high + low) + of_c) + n);
    return vec2(first, low - (((first - n) - of_c) - high));
}

// a^b with all the special cases of C's pow.
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
        // b log2 a in two parts. Beyond 1,000 all results are 0, 1 or infinite.
        let exponent = clamp(b, -1e10, 1e10);
        let logarithm = tslip_log2(size);
        let leading = tslip_leading(exponent);
        let high = clamp(leading * logarithm.x, -1000.0, 1000.0);
        let low = clamp((exponent - leading) * logarithm.x + exponent * logarithm.y, -1.0, 1.0);
        let whole_part = round(high + low);
        let n = clamp(whole_part, -240.0, 240.0);
        // The fraction times log 2.
        let fraction_high = high - whole_part;
        let fraction = tslip_leading(fraction_high + low);
        let fraction_low = low - (fraction - fraction_high);
        let near = tslip_exp_near(fraction * 0.693359375, fraction_low * 0.693147181 - fraction * 2.12194440e-4);
        y = tslip_exp_scaled(near, i32(n));
        y = select(y, infinity(), whole_part > 130.0);
        y = select(y, 0.0, whole_part < -160.0);
    }
    return select(y, -y, negative && odd);
}

// 1 - e^(t rate) for t >= 0 and rate < 0, the rate in two parts.
fn tslip_bias_correction(t: f32, high: f32, low: f32) -> f32 {
    let x = t * high + t * low;
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
