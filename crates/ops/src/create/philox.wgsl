// Philox 4x32-10 (philox.rs): the same words as on the CPU. WGSL has no products of 64 bits: they are made of halves.
fn tslip_high_product(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (other >> 16u);
}

fn tslip_philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var x = counter;
    var key = seed;
    for (var round = 0u; round < 10u; round++) {
        let high = vec2(tslip_high_product(x.x, 0xd2511f53u), tslip_high_product(x.z, 0xcd9e8d57u));
        let low = vec2(x.x * 0xd2511f53u, x.z * 0xcd9e8d57u);
        x = vec4(high.y ^ x.y ^ key.x, low.y, high.x ^ x.w ^ key.y, low.x);
        key += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return x;
}

// Number i of a seed, uniform in [0, 1).
fn tslip_uniform(i: u32, low: u32, high: u32) -> f32 {
    let words = tslip_philox(vec4(i / 4u, 0u, 0u, 0u), vec2(low, high));
    return f32(words[i % 4u] >> 8u) * 5.9604645e-8;
}

// Number i of a seed and a step, uniform in [0, 1).
fn tslip_uniform_at(i: u32, step: u32, low: u32, high: u32) -> f32 {
    let words = tslip_philox(vec4(i / 4u, 0u, 2u, step), vec2(low, high));
    return f32(words[i % 4u] >> 8u) * 5.9604645e-8;
}
