// Elements of one tensor into another. Words: 0 how many, 1-2 where they are, 3-4 where they go.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i < word(job, 0u)) {
        heap[address(job, 3u) + i] = heap[address(job, 1u) + i];
    }
}
