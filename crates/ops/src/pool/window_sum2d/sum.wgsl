// The sum over each window. Words from 10 on: first word of x, of the result.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let e = extents(job);
    let o = element(i, e.windows, e.inner);
    var sum = 0.0;
    for (var y = 0u; y < e.kernel.x; y++) {
        var row = 0.0;
        for (var x = 0u; x < e.kernel.y; x++) {
            let tap = Element(o.image, o.at * e.stride + vec2(y, x), o.channel);
            row += load(word(job, 10u) + place(tap, e.size, e.inner));
        }
        sum += row;
    }
    store(word(job, 11u) + i, sum);
}
