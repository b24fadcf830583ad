// T - Rᵀ R on and below the diagonal, after a block of rows, whose columns are 0 there before: a tile in each workgroup.
// Words: 0 matrices, 1 their order n, 2 the block, 3 T, 4 R.

fn triangle(rows: u32) -> u32 {
    return rows * (rows + 1u) / 2u;
}

fn run(grid: Grid, local: u32) {
    let n = word(grid, 1u);
    let block = word(grid, 2u);
    let done = triangle(block + 1u);
    let groups = triangle((n + SIDE - 1u) / SIDE) - done;
    let matrix = grid.group / groups;
    let t = word(grid, 3u) + matrix * n * n;
    let r = word(grid, 4u) + matrix * SIDE * n;
    // Tiles are counted row after row.
    let tile = done + grid.group % groups;
    var down = block + 1u;
    while (triangle(down + 1u) <= tile) {
        down++;
    }
    let across = tile - triangle(down);
    var sum = mat4x4<f32>();
    for (var start = 0u; start < SIDE; start += TERMS) {
        for (var s = 0u; s < 4u; s++) {
            let term = local / SIDE + 4u * s;
            let column = local % SIDE;
            let line = r + (start + term) * n;
            left[term * PITCH + column] = 0.0;
            if (down * SIDE + column < n) {
                left[term * PITCH + column] = load(line + down * SIDE + column);
            }
            // Tiles up to the diagonal are no further to the right.
            right[term * PITCH + column] = 0.0;
            if (across * SIDE + column < n) {
                right[term * PITCH + column] = load(line + across * SIDE + column);
            }
        }
        workgroupBarrier();
        sum = accumulate(local, sum);
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = down * SIDE + 4u * (local / 16u) + i;
            let column = across * SIDE + local % 16u + 16u * j;
            if (column <= row && row < n) {
                let at = t + row * n + column;
                var before = 0.0;
                if (across != block) {
                    before = load(at);
                }
                store(at, before - sum[i][j]);
            }
        }
    }
}
