// Quotients and roots as IEEE 754 rounds them, whatever a device's own are: those serve as estimates, and what they miss is found
// in integers, modulo 2^32. An estimate may be off by 30 units in the last place. Subnormal numbers count as zero.

// The leading bit and the fraction of a normal float.
fn tslip_significand(bits: u32) -> u32 {
    return (bits & 0x007fffffu) | 0x00800000u;
}

fn tslip_divide(x: f32, y: f32) -> f32 {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    let sign = (a ^ b) & 0x80000000u;
    let exponents = vec2(i32((a >> 23u) & 0xffu), i32((b >> 23u) & 0xffu));
    let zero = exponents.x == 0 || exponents.y == 255;
    let infinite = exponents.x == 255 || exponents.y == 0;
    if (is_nan(x) || is_nan(y) || (zero && infinite)) {
        return quiet_nan();
    }
    // The quotient of the significands, from 1 to 2, in units of 2^-23.
    let n = tslip_significand(a);
    let d = tslip_significand(b);
    let short = select(0u, 1u, n < d);
    let dividend = n << short;
    let divisor = f32(d);
    var quotient = i32(f32(dividend) / divisor * 8388608.0);
    var rest = bitcast<i32>((dividend << 23u) - u32(quotient) * d);
    let missed = i32(round(f32(rest) / divisor));
    quotient += missed;
    rest -= missed * i32(d);
    // A quotient of two floats is never half way between two others.
    quotient += select(0, 1, 2 * rest > i32(d)) - select(0, 1, 2 * rest < -i32(d));
    let exponent = exponents.x - exponents.y + 127 - i32(short);
    if (infinite || (exponent > 254 && !zero)) {
        return bitcast<f32>(sign | 0x7f800000u);
    }
    let magnitude = (clamp(exponent, -1, 254) - 1) * 8388608 + quotient;
    return bitcast<f32>(sign | select(0u, u32(magnitude), magnitude >= 0x00800000 && !zero));
}

fn tslip_sqrt(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if ((bits & 0x7fffffffu) < 0x00800000u) {
        return bitcast<f32>(bits & 0x80000000u);
    }
    if (is_nan(x) || bits >= 0x80000000u) {
        return quiet_nan();
    }
    if (bits == 0x7f800000u) {
        return x;
    }
    // x is n 2^-23 times an even power of two; the root of n, from 1 to 2, in units of 2^-23.
    let exponent = i32(bits >> 23u);
    let odd = 1 - (exponent & 1);
    let n = tslip_significand(bits) << u32(odd);
    var root = i32(sqrt(f32(n) * 8388608.0));
    var rest = bitcast<i32>((n << 23u) - u32(root) * u32(root));
    let missed = i32(round(f32(rest) / (2.0 * f32(root))));
    rest -= missed * (2 * root + missed);
    root += missed;
    // Half a unit more has the square root^2 + root + 1/4.
    root += select(0, 1, rest > root) - select(0, 1, rest <= -root);
    return bitcast<f32>(u32(((exponent + 127 - odd) / 2 - 1) * 8388608 + root));
}
