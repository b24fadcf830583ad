// Adds matrices that lie one after another. Words: 0 elements of each, 1 how many, 2-3 the matrices, 4-5 result.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    let count = word(grid, 0u);
    if (i >= count) {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < word(grid, 1u); part++) {
        sum += load(address(grid, 2u) + part * count + i);
    }
    store(address(grid, 4u) + i, sum);
}
