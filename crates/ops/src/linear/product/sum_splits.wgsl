// Adds what workgroups have summed of each element of C: LANES invocations add the parts of an element, every LANES-th each, and then
// what they have come to, in an order that depends on the number of parts alone.
// Words: 0 elements, 1 rows, 2 columns, 3 splits, 4 first word of the parts, 5, 6, 7 first word of C and its distance of one
// batch and row to the next.

const ELEMENTS: u32 = WORKGROUP / LANES;

var<workgroup> sums: array<f32, WORKGROUP>;

fn run(grid: Grid, local: u32) {
    let count = word(grid, 0u);
    let i = grid.group * ELEMENTS + local % ELEMENTS;
    var sum = 0.0;
    if (i < count) {
        let parts = word(grid, 4u) + i;
        for (var s = local / ELEMENTS; s < word(grid, 3u); s += LANES) {
            sum += load(parts + s * count);
        }
    }
    sums[local] = sum;
    for (var lanes = LANES / 2u; lanes > 0u; lanes = lanes / 2u) {
        workgroupBarrier();
        if (local < lanes * ELEMENTS) {
            sums[local] += sums[local + lanes * ELEMENTS];
        }
    }
    if (local < ELEMENTS && i < count) {
        let columns = word(grid, 2u);
        let row = i / columns;
        let rows = word(grid, 1u);
        store(word(grid, 5u) + row / rows * word(grid, 6u) + row % rows * word(grid, 7u) + i % columns, sums[local]);
    }
}
