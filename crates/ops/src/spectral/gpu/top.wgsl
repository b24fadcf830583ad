// The spectral norm from the trace of the last power of the Gram matrix. One workgroup a weight.
// Words: 0 p, 1-2 the Gram matrix, 3-4 its two latest powers, 5-6 what is known after each squaring, 7 how many maxima scale X, 8-9
// these, 10-11 place of the norm or NONE; for the gradient: 12-13 place of the power's factor or NONE, 14-15 of the number of
// squarings.

// Terms that are summed before they are added to the rest.
const TERMS_OF_RUN: u32 = 32u;

fn run(grid: Grid, local: u32) {
    let p = word(grid, 0u);
    let scale = scale_of(local, word(grid, 7u), address(grid, 8u));
    let powers = address(grid, 3u);
    let state = standing(local, SQUARINGS, p, powers + (SQUARINGS - 1u) % 2u * p * p, address(grid, 5u));
    let squarings = agreed(local, state.enough);
    let sigma = root(state.trace, state.exponent, squarings + 1u);
    if (word(grid, 12u) != NONE) {
        let gram = address(grid, 1u);
        let power = powers + (squarings - 1u) % 2u * p * p;
        var total = 0.0;
        var sum = 0.0;
        var count = 0u;
        for (var i = local; i < p * p; i += WORKGROUP) {
            sum += load(gram + i) * load(power + i);
            count++;
            if (count % TERMS_OF_RUN == 0u) {
                total += sum;
                sum = 0.0;
            }
        }
        let of_power = summed(local, total + sum);
        if (local == 0u) {
            store(address(grid, 12u), gradient_factor(sigma, of_power, scale.kind));
            store(address(grid, 14u), f32(squarings));
        }
    }
    if (local == 0u) {
        write_norm(grid, 10u, sigma, scale);
    }
}
