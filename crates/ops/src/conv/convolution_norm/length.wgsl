// The length of a vector, in one workgroup. Words: 0 elements, 1 first word of the vector, 2 of the result.
fn run(grid: Grid, local: u32) {
    var sum = 0.0;
    for (var i = local; i < word(grid, 0u); i += WORKGROUP) {
        let x = load(word(grid, 1u) + i);
        sum += x * x;
    }
    let square = summed(local, sum);
    if (local == 0u) {
        store(word(grid, 2u), tslip_sqrt(square));
    }
}
