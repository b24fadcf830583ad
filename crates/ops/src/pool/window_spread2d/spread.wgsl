// The sum over the windows that hold a pixel. Words from 10 on: first word of the windows' values, of the result.
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
            sum += load(word(grid, 10u) + place(Element(own.image, vec2(row, column), own.channel), e.windows, e.inner));
        }
    }
    store(word(grid, 11u) + i, sum);
}
