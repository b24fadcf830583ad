// The largest magnitude of each part of a weight, as bits: these are in the order of the magnitudes, those that are not finite
// last. Words: 0 elements, 1-2 weight, 3 parts, 4-5 result.
fn run(job: Job, local: u32) {
    let first = address(job, 1u);
    var bits = 0u;
    for (var i = job.group * WORKGROUP + local; i < word(job, 0u); i += word(job, 3u) * WORKGROUP) {
        bits = max(bits, heap[first + i] & 0x7fffffffu);
    }
    let largest = largest_of(local, bits);
    if (local == 0u) {
        heap[address(job, 4u) + job.group] = largest;
    }
}
