// The sum of the products of corresponding elements of a weight and another matrix, in two launches: of parts, with the weight
// scaled; and of all, with that undone.
// Words: 0 elements, 1-2 weight, 3-4 the other matrix, or NONE in the second launch, 5 parts, 6-7 result, 8 how many maxima scale the
// weight, 9-10 these.

// Terms that are summed before they are added to the rest.
const TERMS_OF_RUN: u32 = 32u;

fn run(grid: Grid, local: u32) {
    let scale = scale_of(local, word(grid, 8u), address(grid, 9u));
    let parts = word(grid, 5u);
    let a = address(grid, 1u);
    let b = address(grid, 3u);
    let ends = word(grid, 3u) == NONE;
    var total = 0.0;
    var sum = 0.0;
    var count = 0u;
    for (var i = grid.group * WORKGROUP + local; i < word(grid, 0u); i += parts * WORKGROUP) {
        if (ends) {
            sum += load(a + i);
        } else {
            sum += load(a + i) * scale.first * scale.second * load(b + i);
        }
        count++;
        if (count % TERMS_OF_RUN == 0u) {
            total += sum;
            sum = 0.0;
        }
    }
    let value = summed(local, total + sum);
    if (local == 0u) {
        let half = scale.exponent / 2;
        let undone = value * power_of_two(half) * power_of_two(scale.exponent - half);
        store(address(grid, 6u) + grid.group, select(value, undone, ends));
    }
}
