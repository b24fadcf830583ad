// Words: 0 elements, 1 elements of a line of the result along the axis and behind it, 2 first word of the result, 3 the number of
// operands; for each where its part of a line ends and its first word.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let line = word(grid, 1u);
    let at = i % line;
    var begin = 0u;
    for (var k = 0u; k < word(grid, 3u); k++) {
        let end = word(grid, 4u + 2u * k);
        if (at < end) {
            heap[word(grid, 2u) + i] = heap[word(grid, 5u + 2u * k) + i / line * (end - begin) + at - begin];
            return;
        }
        begin = end;
    }
}
