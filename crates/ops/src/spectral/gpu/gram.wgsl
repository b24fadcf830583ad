// XᵀX, or XᵀY + YᵀX, for the tall form X of a weight: `[p, p]` in parts, each the sum over some rows of X.
// Words: 0-1 progress or NONE, 2 block, 3 p, 4 q, 5 whether X lies transposed, 6 parts, 7 rows of a part, 8-9 X, 10 how many maxima
// scale X, or SCAN if they are still to be found, 11-12 these or their place; for each result: 0-1 Y, or NONE for XᵀX, 2-3 its place.

const RESULTS: u32 = 13u;
// Each workgroup then looks at all of X: that of a small weight.
const SCAN: u32 = 0xffffffffu;

fn scale_found(grid: Grid, local: u32) -> Scale {
    if (word(grid, 10u) != SCAN) {
        return scale_of(local, word(grid, 10u), address(grid, 11u));
    }
    var bits = 0u;
    for (var i = local; i < word(grid, 3u) * word(grid, 4u); i += WORKGROUP) {
        bits = max(bits, heap[address(grid, 8u) + i] & 0x7fffffffu);
    }
    let largest = largest_of(local, bits);
    if (grid.group == 0u && local == 0u) {
        heap[address(grid, 11u)] = largest;
    }
    return scale_from(largest);
}

fn run(grid: Grid, local: u32) {
    if (word(grid, 0u) != NONE) {
        if (is_over(blocks_of(local, address(grid, 0u)), word(grid, 2u))) {
            return;
        }
    }
    let scale = scale_found(grid, local);
    let factors = vec2(scale.first, scale.second);
    let p = word(grid, 3u);
    let q = word(grid, 4u);
    let lie = Lie(p, q, word(grid, 5u) != 0u);
    let tiles = tile_count(p);
    let parts = word(grid, 6u);
    let tile = tile_of(p, grid.group % tiles);
    let part = grid.group / tiles % parts;
    let result = RESULTS + 4u * (grid.group / (tiles * parts));
    let begin = part * word(grid, 7u);
    let end = min(begin + word(grid, 7u), q);
    let x = address(grid, 8u);

    var sum: mat4x4<f32>;
    if (word(grid, result) == NONE) {
        sum = tile_sum(local, lie, x, x, tile, begin, end, factors);
    } else {
        let y = address(grid, result);
        sum = tile_sum(local, lie, x, y, tile, begin, end, factors);
        sum += tile_sum(local, lie, y, x, tile, begin, end, factors);
    }
    write_mirrored(local, p, address(grid, result + 2u) + part * p * p, tile, sum);
}
