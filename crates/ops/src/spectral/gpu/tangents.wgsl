// The derivative of a block of Björck iterations on `[p, p]` matrices, from the tape of the value: crates/cpu/src/spectral/
// bjorck_grad.rs has the formulas. One workgroup a weight; what is left in the end is the derivative of P.
// Words: 0 p, 1 parts of XᵀD + DᵀX, 2-3 these, 4-5 progress, 6 block, 7 iterations, 8 beta, 9-10 E before each iteration, 11-12
// E², 13-14 P after it, 15-16 result.

fn run(grid: Grid, local: u32) {
    let p = word(grid, 0u);
    let progress = address(grid, 4u);
    let block = word(grid, 6u);
    let iterations = word(grid, 7u);
    let beta = bitcast<f32>(word(grid, 8u));
    let blocks = blocks_of(local, progress);
    if (is_over(blocks, block)) {
        return;
    }
    var used = 0u;
    if (block > 0u) {
        used = min(agreed(local, u32(load(progress + 1u + block))), iterations - 1u);
    }
    let end = min(agreed(local, u32(load(progress + 2u + block))), iterations);
    let of_square = 2.0 * beta - beta * beta;
    var e = read_matrix(local, p, address(grid, 9u) + used * p * p, 1u);
    var d_e = -1.0 * read_matrix(local, p, address(grid, 2u), word(grid, 1u));
    var d_power = beta * d_e;
    for (used++; used < end; used++) {
        let before = (used - 1u) * p * p;
        let square = read_matrix(local, p, address(grid, 11u) + before, 1u);
        let power = read_matrix(local, p, address(grid, 13u) + before, 1u);
        let next = read_matrix(local, p, address(grid, 9u) + used * p * p, 1u);
        let d_square = with_transpose(local, p, product(local, p, e, d_e));
        let cubes = product(local, p, d_square, e) + product(local, p, square, d_e);
        let d_cube = 0.5 * with_transpose(local, p, cubes);
        d_e = (1.0 - 2.0 * beta) * d_e + of_square * d_square + beta * beta * d_cube;
        let products = product(local, p, d_power, next) + product(local, p, power, d_e);
        d_power = d_power + 0.5 * beta * with_transpose(local, p, products);
        e = next;
    }
    if (block + 1u == blocks && end < iterations) {
        // The value has ended early, at an orthonormal weight: of the iterations that it left out only the next has an effect.
        let d_square = with_transpose(local, p, product(local, p, e, d_e));
        d_power = d_power + beta * of_square * d_square;
    }
    write_matrix(local, p, address(grid, 15u), d_power);
}
