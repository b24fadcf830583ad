// A block of Björck iterations on `[p, p]` matrices alone: the defect E = I - XᵀX becomes (1 - 2 beta) E + (2 beta - beta²) E² +
// beta² E³, and the product P of all I + beta E stands for what happens to X. One workgroup a weight; the block ends as
// that of the CPU's kernel does.
// Words: 0 p, 1 parts of XᵀX, 2-3 these, 4-5 progress, 6 block, 7 iterations, 8 beta, 9-10 where E is kept or NONE, 11-12 E²,
// 13-14 P, 15 places for P.
// RESTART: iterations in a block, unless it is close to its end.

// Bounds of the sum of the squares of E; crates/cpu/src/spectral/bjorck.rs says why these.
const CLOSE: f32 = 0.25;
const NEARLY_ORTHONORMAL: f32 = 1e-8;
const CONVERGED: f32 = 1.3e-4;

fn within(size: f32, limit: f32) -> bool {
    return !is_nan(size) && size <= limit;
}

fn run(grid: Grid, local: u32) {
    let p = word(grid, 0u);
    let progress = address(grid, 4u);
    let block = word(grid, 6u);
    let iterations = word(grid, 7u);
    let beta = bitcast<f32>(word(grid, 8u));
    let keeps = word(grid, 9u) != NONE;
    var used = 0u;
    var converged = false;
    if (block > 0u) {
        if (is_over(blocks_of(local, progress), block)) {
            return;
        }
        converged = agreed(local, u32(load(progress + 1u))) != 0u;
        used = min(agreed(local, u32(load(progress + 1u + block))), iterations - 1u);
    }
    let quadratic = beta == 0.5;
    let one = identity(local, p);
    var e = one - read_matrix(local, p, address(grid, 2u), word(grid, 1u));
    var power = one + beta * e;
    var size = inner(local, e, e);
    let last = converged || (quadratic && within(size, NEARLY_ORTHONORMAL)) || used + 1u == iterations;
    let start = used;
    let end = select(iterations - 1u, used + 1u, last);
    loop {
        if (keeps) {
            write_matrix(local, p, address(grid, 9u) + used * p * p, e);
        }
        write_matrix(local, p, address(grid, 13u) + used % word(grid, 15u) * p * p, power);
        used++;
        if (used >= end || (used >= start + RESTART && !within(size, CLOSE))) {
            break;
        }
        if (quadratic && within(size, CONVERGED)) {
            converged = true;
            break;
        }
        let square = product(local, p, e, e);
        if (keeps) {
            write_matrix(local, p, address(grid, 11u) + (used - 1u) * p * p, square);
        }
        let cube = 0.5 * with_transpose(local, p, product(local, p, square, e));
        e = (1.0 - 2.0 * beta) * e + (2.0 * beta - beta * beta) * square + beta * beta * cube;
        power = power + 0.5 * beta * with_transpose(local, p, product(local, p, e, power));
        size = inner(local, e, e);
    }
    if (local == 0u) {
        store(progress, select(0.0, f32(block + 1u), last));
        store(progress + 1u, select(0.0, 1.0, converged));
        store(progress + 2u + block, f32(used));
    }
}
