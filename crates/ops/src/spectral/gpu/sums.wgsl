// Sums over a workgroup.

var<workgroup> lanes: array<f32, WORKGROUP>;

// The sum over all invocations, known to all.
fn summed(local: u32, value: f32) -> f32 {
    lanes[local] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (local < half) {
            lanes[local] += lanes[local + half];
        }
    }
    return workgroupUniformLoad(&lanes[0]);
}
