// Multiply-adds without end on numbers that no compiler knows, in chains that do not wait for each other: 32 to an invocation.

struct Given {
    turns: u32,
    factor: f32,
    addend: f32,
    pad: u32,
}

@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(2) var<storage, read_write> results: array<f32>;

fn twice(x: vec4<f32>, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return fma(fma(x, a, b), a, b);
}

// Written out, so that counting the turns takes little beside them.
fn eight_times(x: vec4<f32>, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return twice(twice(twice(twice(x, a, b), a, b), a, b), a, b);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = vec4<f32>(given.factor);
    let b = vec4<f32>(given.addend);
    // Every chain starts elsewhere, or two could be computed as one.
    let start = vec4<f32>(f32(id.x)) + vec4<f32>(0.0, 0.25, 0.5, 0.75);
    var s0 = start;
    var s1 = start + 1.0;
    var s2 = start + 2.0;
    var s3 = start + 3.0;
    var s4 = start + 4.0;
    var s5 = start + 5.0;
    var s6 = start + 6.0;
    var s7 = start + 7.0;
    for (var turn = 0u; turn < given.turns; turn++) {
        s0 = eight_times(s0, a, b);
        s1 = eight_times(s1, a, b);
        s2 = eight_times(s2, a, b);
        s3 = eight_times(s3, a, b);
        s4 = eight_times(s4, a, b);
        s5 = eight_times(s5, a, b);
        s6 = eight_times(s6, a, b);
        s7 = eight_times(s7, a, b);
    }
    let sum = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
    results[id.x] = (sum.x + sum.y) + (sum.z + sum.w);
}
