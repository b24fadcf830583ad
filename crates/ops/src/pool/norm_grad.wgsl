// The gradient of the norm over windows: x / y dy, summed over the windows that hold a pixel; nothing where y is 0.
// Words from 10 on: first word of x, of y, of dy, of the result.
fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let e = extents(job);
    let own = element(i, e.size, e.inner);
    let x = load(word(job, 10u) + i);
    let channel = sorted_channel(word(job, 10u) + i, own.channel);
    let first = first_window(own.at, e);
    let last = last_window(own.at, e);
    var sum = 0.0;
    for (var row = first.x; row < last.x; row++) {
        for (var column = first.y; column < last.y; column++) {
            let at = place(Element(own.image, vec2(row, column), channel), e.windows, e.inner);
            let y = load(word(job, 11u) + at);
            if (!(y == 0.0)) {
                let dy = load(word(job, 12u) + at);
                // One of the two quotients may leave the range of floats where the result does not.
                let ratio = tslip_divide(dy, y);
                let within = is_finite(ratio) && abs(ratio) > 1e-30;
                sum += select(tslip_divide(x, y) * dy, x * ratio, within);
            }
        }
    }
    store(word(job, 13u) + i, sum);
}
