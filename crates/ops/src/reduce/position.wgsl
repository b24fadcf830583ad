// The position along an axis of the element that wins: of equals the first, and the first NaN if there is one.
// Words: 0 results, 1 extent of the axis, 2 elements behind it, 3 first word of the operand, 4 of the result.
// LARGEST: 1 for the largest, 0 for the smallest. INTEGER: 1 for i32.

fn stays(a: u32, b: u32) -> bool {
    if (INTEGER == 1u) {
        let x = bitcast<i32>(a);
        let y = bitcast<i32>(b);
        return select(x <= y, x >= y, LARGEST == 1u);
    }
    let x = bitcast<f32>(a);
    let y = bitcast<f32>(b);
    if (is_nan(x) || is_nan(y)) {
        return is_nan(x);
    }
    return select(x <= y, x >= y, LARGEST == 1u);
}

fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let extent = word(grid, 1u);
    let inner = word(grid, 2u);
    let first = word(grid, 3u) + i / inner * extent * inner + i % inner;
    var best = heap[first];
    var at = 0u;
    for (var k = 1u; k < extent; k++) {
        let here = heap[first + k * inner];
        if (!stays(best, here)) {
            best = here;
            at = k;
        }
    }
    heap[word(grid, 4u) + i] = at;
}
