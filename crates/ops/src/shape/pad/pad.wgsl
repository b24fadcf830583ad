// Words: 0 elements, 1 mode, 2 bits of the constant, 3 first word of x, 4 of the result, 5 the number of axes; for each, outermost
// first, its extent with padding and without, the stride in x, and the elements before.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    var rest = i;
    var at = word(job, 3u);
    var copied = true;
    for (var axis = word(job, 5u); axis > 0u; axis--) {
        let own = 2u + 4u * axis;
        let padded = word(job, own);
        let extent = word(job, own + 1u);
        let position = source(word(job, 1u), word(job, own + 3u), extent, rest % padded);
        copied = copied && position < extent;
        at += position * word(job, own + 2u);
        rest = rest / padded;
    }
    var value = word(job, 2u);
    if (copied) {
        value = heap[at];
    }
    heap[word(job, 4u) + i] = value;
}
