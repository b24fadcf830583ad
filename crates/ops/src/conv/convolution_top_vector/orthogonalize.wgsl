// Makes vector j of the basis, AᵀA times the one before, a unit vector at right angles to all before it, in one workgroup.
// Words: 0 numbers of a vector, 1 j, 2 first word of the basis, 3 of the state: whether all is done, then the diagonal and what is
// beside it, 4 words of each.

// Vectors whose length has fallen to this share of the eigenvalue are rounding.
const EXHAUSTED: f32 = 1e-6;

fn run(grid: Grid, local: u32) {
    let count = word(grid, 0u);
    let j = word(grid, 1u);
    let basis = word(grid, 2u);
    let diagonal = word(grid, 3u) + 1u;
    let beside = diagonal + word(grid, 4u);
    if (agreed(local, heap[word(grid, 3u)]) != 0u) {
        return;
    }
    let own = basis + j * count;
    if (j > 0u) {
        let along = inner(local, count, own - count, own);
        if (local == 0u) {
            store(diagonal + j - 1u, along);
        }
    }
    // Twice: what the first pass leaves may be rounding of what it took off, which is at right angles to nothing.
    for (var round = 0u; round < 2u; round++) {
        for (var k = j; k > 0u; k--) {
            let other = basis + (k - 1u) * count;
            let overlap = inner(local, count, other, own);
            for (var i = local; i < count; i += WORKGROUP) {
                store(own + i, load(own + i) - overlap * load(other + i));
            }
        }
    }
    let length = tslip_sqrt(inner(local, count, own, own));
    storageBarrier();
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
