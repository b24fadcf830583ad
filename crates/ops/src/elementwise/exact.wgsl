// Quotients and roots to half a unit in the last place where products are fused; WGSL's own may be off by some.

fn tslip_divide(x: f32, y: f32) -> f32 {
    // A quotient may be a product with a reciprocal, which for a large divisor is below all floats.
    let scale = select(1.0, 5.42101086e-20, abs(y) > 1e30 && is_finite(y));
    let a = x * scale;
    let b = y * scale;
    let q = a / b;
    let better = q + fma(-q, b, a) / b;
    return select(q, better, is_finite(better) && abs(a) > 1e-30 && abs(q) > 1e-30);
}

fn tslip_sqrt(x: f32) -> f32 {
    if (x < 0.0) {
        return quiet_nan();
    }
    let s = sqrt(x);
    let better = s + fma(-s, s, x) / (2.0 * s);
    return select(s, better, is_finite(better) && x > 1e-30);
}
