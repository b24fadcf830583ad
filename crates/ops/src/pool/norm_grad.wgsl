// The gradient of the norm over windows: x / y dy, summed over the windows that hold a pixel; nothing where y is 0.
// Words from 10 on: first word of x, of y, of dy, of the result.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let e = extents(grid);
    let own = element(i, e.size, e.inner / CHANNELS);
    var x = values(word(grid, 10u) + i * CHANNELS);
    let first = first_window(own.at, e);
    let last = last_window(own.at, e);
    var sums: Values;
    for (var c = 0u; c < CHANNELS; c++) {
        sums[c] = 0.0;
    }
    for (var row = first.x; row < last.x; row++) {
        for (var column = first.y; column < last.y; column++) {
            let at = place(Element(own.image, vec2(row, column), own.channel * CHANNELS), e.windows, e.inner);
            var y = exchanged(values(word(grid, 11u) + at), x);
            var dy = exchanged(values(word(grid, 12u) + at), x);
            for (var c = 0u; c < CHANNELS; c++) {
                if (!(y[c] == 0.0)) {
                    let ratio = tslip_divide(dy[c], y[c]);
                    var part = x[c] * ratio;
                    // One of the two quotients may leave the range of floats where the result does not.
                    if (!is_finite(ratio) || abs(ratio) <= 1e-30) {
                        part = tslip_divide(x[c], y[c]) * dy[c];
                    }
                    sums[c] += part;
                }
            }
        }
    }
    for (var c = 0u; c < CHANNELS; c++) {
        store(word(grid, 13u) + i * CHANNELS + c, sums[c]);
    }
}
