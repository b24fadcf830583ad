// The largest magnitude of each part of a weight, as bits: these are in the order of the magnitudes, those that are not finite
// last. Words: 0 elements, 1-2 weight, 3 parts, 4-5 result.
fn run(grid: Grid, local: u32) {
    let first = address(grid, 1u);
    var bits = 0u;
    for (var i = grid.group * WORKGROUP + local; i < word(grid, 0u); i += word(grid, 3u) * WORKGROUP) {
        bits = max(bits, heap[first + i] & 0x7fffffffu);
    }
    let largest = largest_of(local, bits);
    if (local == 0u) {
        heap[address(grid, 4u) + grid.group] = largest;
    }
}
