// A pixel of each window. Words from 10 on: first word of x, of the places in windows, of the result.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let e = extents(grid);
    let o = element(i, e.windows, e.inner);
    // Negative ones are beyond every window.
    let tap = heap[word(grid, 11u) + i];
    var value = 0u;
    if (tap < e.kernel.x * e.kernel.y) {
        let at = o.at * e.stride + vec2(tap / e.kernel.y, tap % e.kernel.y);
        value = heap[word(grid, 10u) + place(Element(o.image, at, o.channel), e.size, e.inner)];
    }
    heap[word(grid, 12u) + i] = value;
}
