// Tiles on and above the diagonal of symmetric products of a weight's tall form; what is below is mirrored, so that results are exactly
// symmetric.

// Terms that are summed in one run before they are added to the rest: errors grow with the length of a run.
const RUN: u32 = 128u;

// How matrices lie: their tall forms `[q, p]` row-major, or transposed.
struct Lie {
    p: u32,
    q: u32,
    transposed: bool,
}

// First row and column of tile `index`, of as many as there are on and above the diagonal.
fn tile_of(p: u32, index: u32) -> vec2<u32> {
    var width = (p + SIDE - 1u) / SIDE;
    let tiles = width;
    var rest = index;
    while (rest >= width) {
        rest -= width;
        width--;
    }
    return vec2(tiles - width, tiles - width + rest) * SIDE;
}

fn tile_count(p: u32) -> u32 {
    let tiles = (p + SIDE - 1u) / SIDE;
    return tiles * (tiles + 1u) / 2u;
}

// Element (term, column); 0 outside.
fn entry(lie: Lie, first: u32, term: u32, end: u32, column: u32) -> f32 {
    if (term >= end || column >= lie.p) {
        return 0.0;
    }
    return load(first + select(term * lie.p + column, column * lie.q + term, lie.transposed));
}

// The sum over terms `begin` to `end` of a tile of XᵀY, both scaled by both factors.
fn tile_sum(local: u32, lie: Lie, x: u32, y: u32, tile: vec2<u32>, begin: u32, end: u32, scale: vec2<f32>) -> mat4x4<f32> {
    var total = mat4x4<f32>();
    var sum = mat4x4<f32>();
    for (var start = begin; start < end; start += TERMS) {
        for (var s = 0u; s < 4u; s++) {
            let term = select(local / SIDE + 4u * s, local % TERMS, lie.transposed);
            let column = select(local % SIDE, local / TERMS + 16u * s, lie.transposed);
            let slot = term * PITCH + column;
            left[slot] = entry(lie, x, start + term, end, tile.x + column) * scale.x * scale.y;
            right[slot] = entry(lie, y, start + term, end, tile.y + column) * scale.x * scale.y;
        }
        workgroupBarrier();
        sum = accumulate(local, sum);
        workgroupBarrier();
        if ((start - begin) % RUN == RUN - TERMS) {
            total += sum;
            sum = mat4x4<f32>();
        }
    }
    return total + sum;
}

fn write_mirrored(local: u32, p: u32, first: u32, tile: vec2<u32>, value: mat4x4<f32>) {
    var block = value;
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let r = tile.x + 4u * (local / 16u) + i;
            let c = tile.y + local % 16u + 16u * j;
            if (r <= c && c < p) {
                store(first + r * p + c, block[i][j]);
                store(first + c * p + r, block[i][j]);
            }
        }
    }
}
