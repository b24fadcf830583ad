// The sum over the windows of which a pixel is the one named. Words from 10 on: first word of the windows' values, of the places in
// windows, of the result.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let e = extents(grid);
    let own = element(i, e.size, e.inner);
    let first = first_window(own.at, e);
    let last = last_window(own.at, e);
    var sum = 0.0;
    for (var row = first.x; row < last.x; row++) {
        for (var column = first.y; column < last.y; column++) {
            let at = place(Element(own.image, vec2(row, column), own.channel), e.windows, e.inner);
            let within = own.at - vec2(row, column) * e.stride;
            if (heap[word(grid, 11u) + at] == within.x * e.kernel.y + within.y) {
                sum += load(word(grid, 10u) + at);
            }
        }
    }
    store(word(grid, 12u) + i, sum);
}
