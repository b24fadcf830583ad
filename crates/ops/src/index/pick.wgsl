// Elements at the positions that indices name along an axis; 0 where there is no such position.
// Words: 0 results, 1 positions picked along the axis, 2 elements behind it, 3 its extent, 4 first word of x, 5 of the indices, 6
// of the result. ALONG: 1 where each element has an index of its own, 0 where rows share one.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let picked = word(job, 1u);
    let inner = word(job, 2u);
    let extent = word(job, 3u);
    let pick = i / inner % picked;
    // Negative ones are beyond every extent.
    let index = heap[word(job, 5u) + select(pick, i, ALONG == 1u)];
    var value = 0u;
    if (index < extent) {
        value = heap[word(job, 4u) + (i / (inner * picked) * extent + index) * inner + i % inner];
    }
    heap[word(job, 6u) + i] = value;
}
