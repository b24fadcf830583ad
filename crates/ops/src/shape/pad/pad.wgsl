// Words: 0 elements, 1 mode, 2 bits of the constant, 3 first word of x, 4 of the result, 5 the number of axes; for each, outermost
// first, its extent with padding and without, the stride in x, and the elements before.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    var rest = i;
    var at = word(grid, 3u);
    var copied = true;
    for (var axis = word(grid, 5u); axis > 0u; axis--) {
        let own = 2u + 4u * axis;
        let padded = word(grid, own);
        let extent = word(grid, own + 1u);
        let position = source(word(grid, 1u), word(grid, own + 3u), extent, rest % padded);
        copied = copied && position < extent;
        at += position * word(grid, own + 2u);
        rest = rest / padded;
    }
    var value = word(grid, 2u);
    if (copied) {
        value = heap[at];
    }
    heap[word(grid, 4u) + i] = value;
}
