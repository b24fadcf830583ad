// Inner products of vector j, AᵀA times the one before it, with all vectors before it, one each workgroup.
// Words: 0 numbers of a vector, 1 j, 2 first word of the basis, 3 of the state: whether all is done, then the diagonal, what is beside
// it, pivots, the vector and the overlaps, 4 words of each, 5 whether nothing has been taken off vector j yet.
fn run(grid: Grid, local: u32) {
    let count = word(grid, 0u);
    let j = word(grid, 1u);
    let basis = word(grid, 2u);
    let diagonal = word(grid, 3u) + 1u;
    let overlaps = diagonal + 4u * word(grid, 4u);
    if (agreed(local, heap[word(grid, 3u)]) != 0u) {
        return;
    }
    let k = grid.group;
    let overlap = inner(local, count, basis + k * count, basis + j * count);
    if (local == 0u) {
        store(overlaps + k, overlap);
        if (k + 1u == j && word(grid, 5u) != 0u) {
            store(diagonal + k, overlap);
        }
    }
}
