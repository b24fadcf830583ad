// Adds matrices that lie one after another. Words: 0 elements of each, 1 how many, 2-3 the matrices, 4-5 result.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    let count = word(job, 0u);
    if (i >= count) {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < word(job, 1u); part++) {
        sum += load(address(job, 2u) + part * count + i);
    }
    store(address(job, 4u) + i, sum);
}
