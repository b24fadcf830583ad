// Number i of a seed and a step, normal with mean 0 and variance 1 (Box and Muller 1958), from words of 24 bits as on the CPU.
fn tslip_normal_at(i: u32, step: u32, low: u32, high: u32) -> f32 {
    let words = tslip_philox(vec4(i / 4u, 0u, 3u, step), vec2(low, high));
    let pair = (i % 4u) / 2u;
    let radius = tslip_sqrt(-2.0 * tslip_log(f32((words[2u * pair] >> 8u) + 1u) * 5.9604645e-8));
    // The angle in eighths of a turn, of which one half turns the sine and the cosine over.
    let turn = words[2u * pair + 1u] >> 8u;
    let quadrant = ((turn + 0x200000u) >> 22u) & 3u;
    let rest = f32(i32(turn) - i32(((turn + 0x200000u) >> 22u) << 22u)) * 3.7450704e-7;
    let square = rest * rest;
    let sine = rest + rest * square * (-0.16666667 + square * (0.008333333 + square * (-0.0001984127 + square * 2.7557319e-6)));
    let cosine = 1.0 + square * (-0.5 + square * (0.041666667 + square * (-0.0013888889 + square * 2.4801587e-5)));
    // The first of a pair is a cosine, the second a sine.
    let swapped = (quadrant & 1u) == 1u;
    let cos_value = select(cosine, sine, swapped);
    let sin_value = select(sine, cosine, swapped);
    let cos_sign = select(1.0, -1.0, quadrant == 1u || quadrant == 2u);
    let sin_sign = select(1.0, -1.0, quadrant >= 2u);
    return radius * select(cos_sign * cos_value, sin_sign * sin_value, (i & 1u) == 1u);
}
