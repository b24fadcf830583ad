// XᵀX, or XᵀY + YᵀX, for the tall form X of a weight: `[p, p]` in parts, each the sum over some rows of X.
// Words: 0-1 progress or NONE, 2 block, 3 p, 4 q, 5 whether X lies transposed, 6 parts, 7 rows of a part, 8-9 X, 10 how many maxima
// scale X, or SCAN if they are still to be found, 11-12 these or their place; for each result: 0-1 Y, or NONE for XᵀX, 2-3 its place.

const RESULTS: u32 = 13u;
// Each workgroup then looks at all of X: that of a small weight.
const SCAN: u32 = 0xffffffffu;

fn scale_found(job: Job, local: u32) -> Scale {
    if (word(job, 10u) != SCAN) {
        return scale_of(local, word(job, 10u), address(job, 11u));
    }
    var bits = 0u;
    for (var i = local; i < word(job, 3u) * word(job, 4u); i += WORKGROUP) {
        bits = max(bits, heap[address(job, 8u) + i] & 0x7fffffffu);
    }
    let largest = largest_of(local, bits);
    if (job.group == 0u && local == 0u) {
        heap[address(job, 11u)] = largest;
    }
    return scale_from(largest);
}

fn run(job: Job, local: u32) {
    if (word(job, 0u) != NONE) {
        if (is_over(blocks_of(local, address(job, 0u)), word(job, 2u))) {
            return;
        }
    }
    let scale = scale_found(job, local);
    let factors = vec2(scale.first, scale.second);
    let p = word(job, 3u);
    let q = word(job, 4u);
    let lie = Lie(p, q, word(job, 5u) != 0u);
    let tiles = tile_count(p);
    let parts = word(job, 6u);
    let tile = tile_of(p, job.group % tiles);
    let part = job.group / tiles % parts;
    let result = RESULTS + 4u * (job.group / (tiles * parts));
    let begin = part * word(job, 7u);
    let end = min(begin + word(job, 7u), q);
    let x = address(job, 8u);

    var sum: mat4x4<f32>;
    if (word(job, result) == NONE) {
        sum = tile_sum(local, lie, x, x, tile, begin, end, factors);
    } else {
        let y = address(job, result);
        sum = tile_sum(local, lie, x, y, tile, begin, end, factors);
        sum += tile_sum(local, lie, y, x, tile, begin, end, factors);
    }
    write_mirrored(local, p, address(job, result + 2u) + part * p * p, tile, sum);
}
