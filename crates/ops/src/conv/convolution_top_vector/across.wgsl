// Takes off vector j what it has of the vectors before it, a number each invocation.
// Words: those of the overlaps.
fn run(grid: Grid, local: u32) {
    let count = word(grid, 0u);
    let j = word(grid, 1u);
    let basis = word(grid, 2u);
    let overlaps = word(grid, 3u) + 1u + 4u * word(grid, 4u);
    let i = grid.group * WORKGROUP + local;
    if (i >= count || heap[word(grid, 3u)] != 0u) {
        return;
    }
    var value = load(basis + j * count + i);
    for (var k = 0u; k < j; k++) {
        value -= load(overlaps + k) * load(basis + k * count + i);
    }
    store(basis + j * count + i, value);
}
