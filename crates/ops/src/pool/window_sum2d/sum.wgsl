// The sum over each window. Words from 10 on: first word of x, of the result.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let e = extents(grid);
    let o = element(i, e.windows, e.inner);
    var sum = 0.0;
    for (var y = 0u; y < e.kernel.x; y++) {
        var row = 0.0;
        for (var x = 0u; x < e.kernel.y; x++) {
            let tap = Element(o.image, o.at * e.stride + vec2(y, x), o.channel);
            row += load(word(grid, 10u) + place(tap, e.size, e.inner));
        }
        sum += row;
    }
    store(word(grid, 11u) + i, sum);
}
