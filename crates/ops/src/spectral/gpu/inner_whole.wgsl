// The sum of the products of corresponding elements of a weight and another matrix, in one workgroup: the weight is scaled by a power
// of two, and that undone.
// Words: 0 elements, 1-2 weight, 3-4 the other matrix, 5-6 result.

// Terms that are summed before they are added to the rest.
const TERMS_OF_RUN: u32 = 32u;

fn run(grid: Grid, local: u32) {
    let elements = word(grid, 0u);
    let a = address(grid, 1u);
    let b = address(grid, 3u);
    var bits = 0u;
    for (var i = local; i < elements; i += WORKGROUP) {
        bits = max(bits, heap[a + i] & 0x7fffffffu);
    }
    let scale = scale_from(largest_of(local, bits));
    var total = 0.0;
    var sum = 0.0;
    var count = 0u;
    for (var i = local; i < elements; i += WORKGROUP) {
        sum += load(a + i) * scale.first * scale.second * load(b + i);
        count++;
        if (count % TERMS_OF_RUN == 0u) {
            total += sum;
            sum = 0.0;
        }
    }
    let value = summed(local, total + sum);
    if (local == 0u) {
        let half = scale.exponent / 2;
        store(address(grid, 5u), value * power_of_two(half) * power_of_two(scale.exponent - half));
    }
}
