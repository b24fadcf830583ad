// Floats to integers: the fraction is dropped, what lies outside becomes the nearest value, NaN becomes 0.

fn tslip_to_i32(x: f32) -> i32 {
    if (is_nan(x)) {
        return 0;
    }
    if (x >= 2147483648.0) {
        return 2147483647;
    }
    return i32(max(x, -2147483648.0));
}

fn tslip_to_u8(x: f32) -> u32 {
    if (is_nan(x)) {
        return 0u;
    }
    return u32(clamp(x, 0.0, 255.0));
}
