// Quotients and roots to half a unit in the last place where products are fused; WGSL's own may be off by some.

fn tslip_divide(a: f32, b: f32) -> f32 {
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
