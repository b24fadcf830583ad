// Single operations on pairs of floats, each result beside the others: what the device makes of them is compared on the host.
// Words: 0 pairs, 1 first word of the pairs, 2 first word of the results, RESULTS for each pair.
const RESULTS: u32 = 7u;

fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let a = load(word(job, 1u) + 2u * i);
    let b = load(word(job, 1u) + 2u * i + 1u);
    let to = word(job, 2u) + RESULTS * i;
    store(to, a + b);
    store(to + 1u, a * b);
    store(to + 2u, fma(a, b, -1.0));
    store(to + 3u, a / b);
    store(to + 4u, sqrt(a));
    heap[to + 5u] = select(0u, 1u, is_nan(a + b));
    store(to + 6u, a - b);
}
