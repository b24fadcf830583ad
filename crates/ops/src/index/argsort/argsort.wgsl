// Each element of a line counts those that come before it, and writes its position at that place: stable, NaN last.
// Words: 0 elements, 1 extent of the axis, 2 elements behind it, 3 first word of x, 4 of the result.
// FLOAT: 1 for f32. DESCENDING: 1 for the largest first.
fn before(a: u32, b: u32) -> bool {
    if (FLOAT == 1u) {
        let x = bitcast<f32>(a);
        let y = bitcast<f32>(b);
        if (is_nan(x) || is_nan(y)) {
            return !is_nan(x);
        }
        return select((x < y), (x > y), DESCENDING == 1u);
    }
    let x = bitcast<i32>(a);
    let y = bitcast<i32>(b);
    return select((x < y), (x > y), DESCENDING == 1u);
}

fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let extent = word(grid, 1u);
    let inner = word(grid, 2u);
    let first = i / (extent * inner) * extent * inner + i % inner;
    let own = i / inner % extent;
    let value = heap[word(grid, 3u) + i];
    var rank = 0u;
    for (var k = 0u; k < extent; k++) {
        let other = heap[word(grid, 3u) + first + k * inner];
        let equal = !before(value, other) && !before(other, value);
        if (before(other, value) && !before(value, other) || (equal && k < own)) {
            rank++;
        }
    }
    heap[word(grid, 4u) + first + rank * inner] = own;
}
