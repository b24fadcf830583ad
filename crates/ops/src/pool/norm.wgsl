// The Euclidean norm of each window. Words from 10 on: first word of x, of the result.

// The sum of the squares of a window's values, each times `scale`.
fn squares(job: Job, o: Element, e: Extents, scale: f32) -> f32 {
    var sum = 0.0;
    for (var y = 0u; y < e.kernel.x; y++) {
        for (var x = 0u; x < e.kernel.y; x++) {
            let tap = Element(o.image, o.at * e.stride + vec2(y, x), o.channel);
            let value = sorted_value(word(job, 10u) + place(tap, e.size, e.inner), o.channel) * scale;
            sum += value * value;
        }
    }
    return sum;
}

fn run(job: Job, local: u32) {
    let i = job.group * WORKGROUP + local;
    if (i >= word(job, 0u)) {
        return;
    }
    let e = extents(job);
    let o = element(i, e.windows, e.inner);
    var norm = tslip_sqrt(squares(job, o, e, 1.0));
    // Squares that leave the range of floats: again with other units.
    if (!is_finite(norm)) {
        norm = tslip_sqrt(squares(job, o, e, 4.33680869e-19)) / 4.33680869e-19;
    } else if (norm < 1e-15) {
        norm = tslip_sqrt(squares(job, o, e, 1.8446744e19)) / 1.8446744e19;
    }
    store(word(job, 11u) + i, norm);
}
