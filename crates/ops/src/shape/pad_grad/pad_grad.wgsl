// One axis of the adjoint of padding: each element adds what its copies hold.
// Words: 0 elements, 1 elements behind the axis, 2 its extent, 3 elements before it, 4 elements after it, 5 mode, 6 first word of the
// padded gradient, 7 of the result.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let inner = word(grid, 1u);
    let extent = word(grid, 2u);
    let before = word(grid, 3u);
    let after = word(grid, 4u);
    let own = i / inner % extent;
    let padded = before + extent + after;
    let first = word(grid, 6u) + i / (inner * extent) * padded * inner + i % inner;
    var sum = load(first + (before + own) * inner);
    for (var k = 0u; k < before + after; k++) {
        let at = select(k + extent, k, k < before);
        if (source(word(grid, 5u), before, extent, at) == own) {
            sum += load(first + at * inner);
        }
    }
    store(word(grid, 7u) + i, sum);
}
