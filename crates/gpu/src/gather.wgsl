// The next samples of a data set. At `control` are the indices of its images, of its labels, of the order of the samples and
// how many of them earlier steps have taken.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let elements = word(job, 1u);
    let bytes = word(job, 2u) == 1u;
    let control = word(job, 3u);
    // 0 for images, 1 for labels.
    let part = word(job, 4u);
    let sample = heap[heap[control + 2u] + heap[control + 3u] + i / elements];
    let element = sample * elements + i % elements;
    let base = heap[control + part];
    var value = 0u;
    if (bytes) {
        value = (heap[base + element / 4u] >> (8u * (element % 4u))) & 0xffu;
    } else {
        value = heap[base + element];
    }
    heap[word(job, 5u) + i] = value;
}
