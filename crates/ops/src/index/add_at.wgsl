// The adjoint of picking: each element of the result adds up, in their order, the values whose index names it.
// Words: 0 results, 1 values along the axis, 2 elements behind it, 3 its extent in the result, 4 first word of the values, 5 of
// the indices, 6 of the result. ALONG: 1 where each value has an index of its own, 0 where rows share one.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let count = word(grid, 1u);
    let inner = word(grid, 2u);
    let extent = word(grid, 3u);
    let own = i / inner % extent;
    let first = i / (inner * extent) * count * inner + i % inner;
    var sum = 0.0;
    for (var k = 0u; k < count; k++) {
        let at = first + k * inner;
        if (heap[word(grid, 5u) + select(k, at, ALONG == 1u)] == own) {
            sum += load(word(grid, 4u) + at);
        }
    }
    store(word(grid, 6u) + i, sum);
}
