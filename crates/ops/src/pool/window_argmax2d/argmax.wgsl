// The place in each window of its largest pixel: of equals the first, and the first NaN. Words from 10 on: first word of x, of the result.
fn stays(a: f32, b: f32) -> bool {
    if (is_nan(a) || is_nan(b)) {
        return is_nan(a);
    }
    return a >= b;
}

fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let e = extents(grid);
    let o = element(i, e.windows, e.inner);
    let first = word(grid, 10u) + place(Element(o.image, o.at * e.stride, o.channel), e.size, e.inner);
    var best = 0u;
    var value = load(first);
    for (var y = 0u; y < e.kernel.x; y++) {
        for (var x = 0u; x < e.kernel.y; x++) {
            let here = load(first + (y * e.size.y + x) * e.inner);
            if (!stays(value, here)) {
                best = y * e.kernel.y + x;
                value = here;
            }
        }
    }
    heap[word(grid, 11u) + i] = best;
}
