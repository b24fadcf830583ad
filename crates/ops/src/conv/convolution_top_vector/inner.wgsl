// The inner product of two vectors, known to all of a workgroup.
fn inner(local: u32, count: u32, a: u32, b: u32) -> f32 {
    var sum = 0.0;
    for (var i = local; i < count; i += WORKGROUP) {
        sum += load(a + i) * load(b + i);
    }
    return summed(local, sum);
}
