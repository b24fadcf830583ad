// R = D Z for a block of rows, Z being T before the block, the identity in it and the transpose of T after it, a tile of 64 columns in
// each workgroup. Up to the block it is written to T as well.
// Words: 0 matrices, 1 their order n, 2 the block, 3 T, 4 D, 5 R.

fn run(grid: Grid, local: u32) {
    let n = word(grid, 1u);
    let tiles = (n + SIDE - 1u) / SIDE;
    let matrix = grid.group / tiles;
    let tile = grid.group % tiles;
    let block = word(grid, 2u);
    let first = block * SIDE;
    let t = word(grid, 3u) + matrix * n * n;
    let d = word(grid, 4u) + matrix * SIDE * SIDE;
    let r = word(grid, 5u) + matrix * SIDE * n;
    var sum = mat4x4<f32>();
    for (var start = 0u; start < SIDE; start += TERMS) {
        for (var s = 0u; s < 4u; s++) {
            // Neighbours bring neighbours in memory: of D, and of T after the block, those are terms.
            let along = local % TERMS;
            let across = local / TERMS + 16u * s;
            left[along * PITCH + across] = load(d + across * SIDE + start + along);
            if (tile > block) {
                let row = tile * SIDE + across;
                right[along * PITCH + across] = 0.0;
                if (row < n) {
                    right[along * PITCH + across] = load(t + row * n + first + start + along);
                }
            } else {
                let term = local / SIDE + 4u * s;
                let column = local % SIDE;
                let row = first + start + term;
                var value = select(0.0, 1.0, start + term == column);
                if (tile < block) {
                    value = 0.0;
                    if (row < n) {
                        value = load(t + row * n + tile * SIDE + column);
                    }
                }
                right[term * PITCH + column] = value;
            }
        }
        workgroupBarrier();
        sum = accumulate(local, sum);
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = 4u * (local / 16u) + i;
            let column = tile * SIDE + local % 16u + 16u * j;
            if (column < n) {
                store(r + row * n + column, sum[i][j]);
                if (column <= first + row && first + row < n) {
                    store(t + (first + row) * n + column, sum[i][j]);
                }
            }
        }
    }
}
