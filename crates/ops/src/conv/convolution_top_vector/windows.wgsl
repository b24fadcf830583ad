fn run(grid: Grid, local: u32) {
    let index = grid.group * WORKGROUP + local;
    if (index >= word(grid, 0u) || heap[word(grid, 4u)] != 0u) {
        return;
    }
    let height = word(grid, ROWS);
    let width = word(grid, COLUMNS);
    let ox = index % word(grid, COLUMNS + 3u);
    let oy = index / word(grid, COLUMNS + 3u) % word(grid, ROWS + 3u);
    let o = index / word(grid, COLUMNS + 3u) / word(grid, ROWS + 3u);
    let first = o / word(grid, 7u) * word(grid, 6u);
    var sum = 0.0;
    for (var ky = 0u; ky < word(grid, ROWS + 4u); ky++) {
        let y = pixel(grid, ROWS, oy * word(grid, ROWS + 5u) + ky * word(grid, ROWS + 6u));
        for (var kx = 0u; kx < word(grid, COLUMNS + 4u); kx++) {
            let x = pixel(grid, COLUMNS, ox * word(grid, COLUMNS + 5u) + kx * word(grid, COLUMNS + 6u));
            if (y >= height || x >= width) {
                continue;
            }
            for (var i = 0u; i < word(grid, 6u); i++) {
                let at = ((first + i) * height + y) * width + x;
                sum += tap_weight(grid, o, i, ky, kx) * load(word(grid, 1u) + at);
            }
        }
    }
    store(word(grid, 2u) + index, sum);
}
