// Elements at the positions that indices name along an axis; 0 where there is no such position.
// Words: 0 results, 1 positions picked along the axis, 2 elements behind it, 3 its extent, 4 first word of x, 5 of the indices, 6
// of the result. ALONG: 1 where each element has an index of its own, 0 where rows share one.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let picked = word(grid, 1u);
    let inner = word(grid, 2u);
    let extent = word(grid, 3u);
    let pick = i / inner % picked;
    // Negative ones are beyond every extent.
    let index = heap[word(grid, 5u) + select(pick, i, ALONG == 1u)];
    var value = 0u;
    if (index < extent) {
        value = heap[word(grid, 4u) + (i / (inner * picked) * extent + index) * inner + i % inner];
    }
    heap[word(grid, 6u) + i] = value;
}
