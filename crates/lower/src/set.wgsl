// A word of the job becomes the value of a state.
fn run(grid: Grid, local: u32) {
    if (local == 0u) {
        heap[word(grid, 1u)] = heap[word(grid, 0u)];
    }
}
