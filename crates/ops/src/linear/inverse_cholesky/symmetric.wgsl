// T, the lower triangle of (A + Aᵀ) / 2, with zeros above it.
// Words: 0 matrices, 1 their order n, 2 A, 3 T.

fn run(grid: Grid, local: u32) {
    let n = word(grid, 1u);
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u) * n * n) {
        return;
    }
    let row = i / n % n;
    let column = i % n;
    var value = 0.0;
    if (column <= row) {
        let mirrored = i - row * n - column + column * n + row;
        value = 0.5 * load(word(grid, 2u) + i) + 0.5 * load(word(grid, 2u) + mirrored);
    }
    store(word(grid, 3u) + i, value);
}
