// Elements of one tensor into another. Words: 0 how many, 1-2 where they are, 3-4 where they go.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i < word(grid, 0u)) {
        heap[address(grid, 3u) + i] = heap[address(grid, 1u) + i];
    }
}
