// Counts a step that was carried out, and notes its number where it left the state set that ends the job.
fn run(grid: Grid, local: u32) {
    if (local != 0u) {
        return;
    }
    let control = word(grid, 0u);
    let steps = heap[control + 1u] + 1u;
    heap[control + 1u] = steps;
    heap[control] = select(0u, steps, heap[word(grid, 1u)] != 0u);
}
