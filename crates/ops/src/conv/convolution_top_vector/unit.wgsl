// Makes vector j a unit vector, in one workgroup; its length is kept beside the diagonal.
// Words: those of the overlaps.

// Vectors whose length has fallen to this share of the eigenvalue are rounding.
const EXHAUSTED: f32 = 1e-6;

fn run(grid: Grid, local: u32) {
    let count = word(grid, 0u);
    let j = word(grid, 1u);
    let own = word(grid, 2u) + j * count;
    let diagonal = word(grid, 3u) + 1u;
    let beside = diagonal + word(grid, 4u);
    if (agreed(local, heap[word(grid, 3u)]) != 0u) {
        return;
    }
    let length = tslip_sqrt(inner(local, count, own, own));
    var largest = 0.0;
    for (var k = 0u; k < j; k++) {
        largest = max(largest, load(diagonal + k));
    }
    var factor = 0.0;
    if (j == 0u || length > EXHAUSTED * largest) {
        factor = tslip_divide(1.0, length);
    }
    for (var i = local; i < count; i += WORKGROUP) {
        store(own + i, load(own + i) * factor);
    }
    if (local == 0u && j > 0u) {
        // A length that is no number is kept: it says that some weight is none.
        store(beside + j - 1u, select(length, 0.0, factor == 0.0 && !is_nan(length)));
    }
}
