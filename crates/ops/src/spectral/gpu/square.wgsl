// The square of a power of the Gram matrix, times a power of two, unless one eigenvalue is left already.
// Words: 0 squarings before, 1 p, 2-3 the power, 4-5 its square, 6-7 what is known after each squaring.

fn run(grid: Grid, local: u32) {
    let k = word(grid, 0u);
    let p = word(grid, 1u);
    let power = address(grid, 2u);
    let first = address(grid, 6u);
    let state = standing(local, k, p, power, first);
    let writes = grid.group == 0u && local == 0u;
    if (agreed(local, state.enough) != 0u) {
        if (writes) {
            note(first, k, state);
        }
        return;
    }
    let shift = exponent_of(state.trace);
    let down = power_of_two(-shift);
    if (writes) {
        note(first, k, Known(0u, 2 * (state.exponent + shift), down * state.trace));
    }
    let tile = tile_of(p, grid.group);
    let square = tile_sum(local, Lie(p, p, false), power, power, tile, 0u, p, vec2(down, 1.0));
    write_mirrored(local, p, address(grid, 4u), tile, square);
}
