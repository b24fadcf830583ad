// Copies an array, scaled: each invocation four vectors, all of them read before the first is written.

struct Given {
    turns: u32,
    factor: f32,
    addend: f32,
    pad: u32,
}

@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> before: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> after: array<vec4<f32>>;

fn scaled(x: vec4<f32>) -> vec4<f32> {
    return x * given.factor + given.addend;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = id.x * 1024u + local;
    let x0 = before[at];
    let x1 = before[at + 256u];
    let x2 = before[at + 512u];
    let x3 = before[at + 768u];
    after[at] = scaled(x0);
    after[at + 256u] = scaled(x1);
    after[at + 512u] = scaled(x2);
    after[at + 768u] = scaled(x3);
}
