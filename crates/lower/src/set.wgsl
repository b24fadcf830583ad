// A word of the job becomes the value of a state.
fn run(job: Job, local: u32) {
    if (local == 0u) {
        heap[word(job, 1u)] = heap[word(job, 0u)];
    }
}
