// Y = the sum of X S over one or two pairs of a weight's tall form X and a symmetric S `[p, p]`, in the layout of the weight: of
// a wide one, Yᵀ = S Xᵀ. S is `diagonal` I + `factor` times the sum of some parts.
// Words: 0-1 progress, 2 block, 3 rows of the weight, 4 columns, 5 how many maxima scale X, 6-7 these. For each result: 0-1 its
// place, 2-3 its place where the block is the last, 4 number of pairs; for each pair: 0-1 X, 2-3 first matrix, 4-5 a count, as
// a float, of matrices that were written here in turn (the last is meant) or NONE, 6 places for these, 7 parts, 8 factor,
// 9-10 another factor or NONE, 11 diagonal.

const RUN: u32 = 128u;
const RESULTS: u32 = 8u;
const PAIR: u32 = 12u;
const RESULT: u32 = 5u + 2u * PAIR;

fn run(grid: Grid, local: u32) {
    var last = false;
    if (word(grid, 0u) != NONE) {
        let blocks = blocks_of(local, address(grid, 0u));
        let block = word(grid, 2u);
        if (is_over(blocks, block)) {
            return;
        }
        last = blocks == block + 1u;
    }
    let scale = scale_of(local, word(grid, 5u), address(grid, 6u));
    let m = word(grid, 3u);
    let n = word(grid, 4u);
    let p = min(m, n);
    let wide = m < n;
    let down = (m + SIDE - 1u) / SIDE;
    let across = (n + SIDE - 1u) / SIDE;
    let first_row = grid.group / across % down * SIDE;
    let first_column = grid.group % across * SIDE;
    let result = RESULTS + RESULT * (grid.group / (across * down));

    var total = mat4x4<f32>();
    for (var t = 0u; t < word(grid, result + 4u); t++) {
        let pair = result + 5u + PAIR * t;
        let x = address(grid, pair);
        var matrix = address(grid, pair + 2u);
        if (word(grid, pair + 4u) != NONE) {
            matrix += (u32(load(address(grid, pair + 4u))) - 1u) % word(grid, pair + 6u) * p * p;
        }
        var factor = bitcast<f32>(word(grid, pair + 8u));
        if (word(grid, pair + 9u) != NONE) {
            factor *= load(address(grid, pair + 9u));
        }
        let diagonal = bitcast<f32>(word(grid, pair + 11u));
        var sum = mat4x4<f32>();
        for (var start = 0u; start < p; start += TERMS) {
            for (var s = 0u; s < 4u; s++) {
                // The neighbours of an invocation bring neighbours in memory, of the weight by rows.
                let along = start + local % TERMS;
                let row = first_row + local / TERMS + 16u * s;
                let term = start + local / SIDE + 4u * s;
                let column = select(first_column, first_row, wide) + local % SIDE;
                var of_matrix = 0.0;
                if (term < p && column < p) {
                    for (var part = 0u; part < word(grid, pair + 7u); part++) {
                        of_matrix += load(matrix + (part * p + term) * p + column);
                    }
                    of_matrix = factor * of_matrix + select(0.0, diagonal, term == column);
                }
                var of_weight = 0.0;
                let slot = (term - start) * PITCH + local % SIDE;
                if (wide) {
                    if (term < p && first_column + local % SIDE < n) {
                        of_weight = load(x + term * n + first_column + local % SIDE);
                    }
                    right[slot] = of_weight * scale.first * scale.second;
                    left[slot] = of_matrix;
                } else {
                    if (along < p && row < m) {
                        of_weight = load(x + row * n + along);
                    }
                    left[local % TERMS * PITCH + row - first_row] = of_weight * scale.first * scale.second;
                    right[slot] = of_matrix;
                }
            }
            workgroupBarrier();
            sum = accumulate(local, sum);
            workgroupBarrier();
            if (start % RUN == RUN - TERMS) {
                total += sum;
                sum = mat4x4<f32>();
            }
        }
        total += sum;
    }

    let to = select(address(grid, result), address(grid, result + 2u), last);
    for (var i = 0u; i < 4u; i++) {
        let r = first_row + 4u * (local / 16u) + i;
        for (var j = 0u; j < 4u; j++) {
            let c = first_column + local % 16u + 16u * j;
            if (r < m && c < n) {
                store(to + r * n + c, total[i][j]);
            }
        }
    }
}
