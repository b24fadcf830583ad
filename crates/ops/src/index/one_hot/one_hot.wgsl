// Words: 0 results, 1 classes, 2 first word of the labels, 3 of the result.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let classes = word(job, 1u);
    store(word(job, 3u) + i, select(0.0, 1.0, heap[word(job, 2u) + i / classes] == i % classes));
}
