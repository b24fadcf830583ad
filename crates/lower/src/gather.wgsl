// The next samples of a data set. At `control` are the indices of its images, of its targets, of the order of the samples, how many
// of them earlier steps have taken, how many the order names, and how many there are.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let elements = word(grid, 1u);
    let bytes = word(grid, 2u) == 1u;
    let control = word(grid, 3u);
    // 0 for images, 1 for targets.
    let part = word(grid, 4u);
    let next = min(heap[control + 3u] + i / elements, heap[control + 4u] - 1u);
    let sample = min(heap[heap[control + 2u] + next], heap[control + 5u] - 1u);
    let element = sample * elements + i % elements;
    let base = heap[control + part];
    var value = 0u;
    if (bytes) {
        value = (heap[base + element / 4u] >> (8u * (element % 4u))) & 0xffu;
    } else {
        value = heap[base + element];
    }
    heap[word(grid, 5u) + i] = value;
}
