// The spectral norm of a weight with p <= 64 from its Gram matrix, which one workgroup squares until one eigenvalue is left, or only
// eigenvalues that tie.
// Words: 0 p, 1 parts of the Gram matrix, 2-3 these, 4 how many maxima scale X, 5-6 these, 7-8 place of the norm or NONE; for
// the gradient: 9-10 place of the power or NONE, 11-12 of its factor.

// Eigenvalues whose square roots, the singular values, differ by no more than this share tie.
const TIED: f32 = 1e-6;
// How often ties are looked for, in squarings: first after a few, where rounding of the square is small beside TIED.
const LOOK: u32 = 3u;

fn run(grid: Grid, local: u32) {
    let p = word(grid, 0u);
    let scale = scale_of(local, word(grid, 4u), address(grid, 5u));
    let one = identity(local, p);
    let gram = read_matrix(local, p, address(grid, 2u), word(grid, 1u));
    var power = gram;
    var sigma = 0.0;
    if (agreed(local, scale.kind) == ORDINARY) {
        // G^(2^k) = 2^exponent power.
        var exponent = 0;
        var trace = inner(local, one, power);
        var k = 0u;
        loop {
            let shift = exponent_of(trace);
            let down = power_of_two(-shift);
            let before = down * power;
            power = product(local, p, before, before);
            trace = trace * down;
            let of_square = inner(local, one, power);
            exponent = 2 * (exponent + shift);
            k++;
            if (of_square >= (1.0 - RANK_ONE) * trace * trace || k == SQUARINGS) {
                sigma = root(of_square, exponent, k + 1u);
                break;
            }
            if (k % LOOK == 0u) {
                // With A² = c A + R the largest eigenvalue of A is between c and c + |R| / c.
                let c = of_square / trace;
                let rest = power - c * before;
                let above = tslip_sqrt(inner(local, rest, rest)) / c;
                if (above <= TIED * f32(1u << k) * c) {
                    sigma = root(c + above, exponent / 2, k);
                    break;
                }
            }
            trace = of_square;
        }
    }
    let of_power = inner(local, gram, power);
    if (word(grid, 9u) != NONE) {
        write_matrix(local, p, address(grid, 9u), power);
        if (local == 0u) {
            store(address(grid, 11u), gradient_factor(sigma, of_power, scale.kind));
        }
    }
    if (local == 0u) {
        write_norm(grid, 7u, sigma, scale);
    }
}
