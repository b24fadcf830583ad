// D, the inverse of the Cholesky factor of a block on the diagonal of T, `[64, 64]`, that of the identity beyond the last row: row after
// row is eliminated as blocks of rows are, by 16 x 16 invocations that hold 4 x 4 elements each, rows 4 y + i, columns x + 16 j.
// Words: 0 matrices, 1 their order n, 2 the block, 3 T, 4 D.

const SIDE: u32 = 64u;

// The row that is eliminated up to its pivot, and the column from there on, in turn at one of two places.
var<workgroup> line: array<f32, 2u * SIDE>;

fn run(grid: Grid, local: u32) {
    let n = word(grid, 1u);
    let first = word(grid, 2u) * SIDE;
    let t = word(grid, 3u) + grid.group * n * n;
    let to = word(grid, 4u) + grid.group * SIDE * SIDE;
    let top = 4u * (local / 16u);
    let left = local % 16u;
    var block = mat4x4<f32>();
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = top + i;
            let column = left + 16u * j;
            if (column <= row) {
                block[i][j] = select(0.0, 1.0, row == column);
                if (first + row < n) {
                    block[i][j] = load(t + (first + row) * n + first + column);
                }
            }
        }
    }
    for (var pivot = 0u; pivot < SIDE; pivot++) {
        let at = pivot % 2u * SIDE;
        for (var i = 0u; i < 4u; i++) {
            for (var j = 0u; j < 4u; j++) {
                let row = top + i;
                let column = left + 16u * j;
                if (row == pivot && column <= pivot) {
                    line[at + column] = block[i][j];
                } else if (column == pivot && row > pivot) {
                    line[at + row] = block[i][j];
                    block[i][j] = 0.0;
                }
            }
        }
        workgroupBarrier();
        let value = line[at + pivot];
        var scale = quiet_nan();
        if (is_finite(value) && value > 0.0) {
            scale = tslip_divide(1.0, tslip_sqrt(value));
        }
        for (var j = 0u; j < 4u; j++) {
            let column = left + 16u * j;
            let across = scale * select(line[at + column], 1.0, column == pivot);
            for (var i = 0u; i < 4u; i++) {
                let row = top + i;
                if (row > pivot) {
                    block[i][j] -= scale * line[at + row] * across;
                } else if (row == pivot) {
                    block[i][j] = across;
                }
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = top + i;
            let column = left + 16u * j;
            store(to + row * SIDE + column, select(0.0, block[i][j], column <= row));
        }
    }
}
