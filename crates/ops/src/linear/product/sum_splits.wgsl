// Adds what workgroups have summed of each element of C, in the order of the terms.
// Words: 0 elements, 1 rows, 2 columns, 3 splits, 4 first word of the parts, 5, 6, 7 first word of C and its distance of one
// batch and row to the next.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    let count = word(job, 0u);
    if (i >= count) {
        return;
    }
    // Four sums side by side: a quarter of the rounding of one, and of the waiting.
    var sums = vec4<f32>();
    let splits = word(job, 3u);
    let parts = word(job, 4u) + i;
    var s = 0u;
    for (; s + 4u <= splits; s += 4u) {
        sums += vec4<f32>(
            load(parts + s * count),
            load(parts + (s + 1u) * count),
            load(parts + (s + 2u) * count),
            load(parts + (s + 3u) * count),
        );
    }
    var sum = (sums.x + sums.y) + (sums.z + sums.w);
    for (; s < splits; s++) {
        sum += load(parts + s * count);
    }
    let columns = word(job, 2u);
    let row = i / columns;
    let rows = word(job, 1u);
    store(word(job, 5u) + row / rows * word(job, 6u) + row % rows * word(job, 7u) + i % columns, sum);
}
