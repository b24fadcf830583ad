// Each member of a group counts those that come before it: that is its rank. Ascending, NaN last, equals in their order.
// Words: 0 elements, 1 members of a group, 2 distance of one to the next, 3 first word of what is sorted by, 4 of what is moved, 5 of
// the result. BACK: 1 where the member of rank k receives entry k.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let size = word(grid, 1u);
    let stride = word(grid, 2u);
    let own = i / stride % size;
    let first = i - own * stride;
    let value = load(word(grid, 3u) + i);
    let unordered = is_nan(value);
    var rank = 0u;
    for (var k = 0u; k < size; k++) {
        let other = load(word(grid, 3u) + first + k * stride);
        var ahead = other < value || (other == value && k < own);
        if (unordered || is_nan(other)) {
            ahead = !is_nan(other) || (unordered && k < own);
        }
        rank += select(0u, 1u, ahead);
    }
    let place = first + rank * stride;
    let source = word(grid, 4u);
    let result = word(grid, 5u);
    if (BACK == 1u) {
        heap[result + i] = heap[source + place];
    } else {
        heap[result + place] = heap[source + i];
    }
}
