// The Euclidean norm of each window. Words from 10 on: first word of x, of the result.

// Units in which the squares of large values, and of norms up to 2^127, and those of small values stay in the range of floats, and the
// inverses: 2^-64 and 2^64.
const LARGE_UNIT: vec2<f32> = vec2(5.4210109e-20, 1.8446744e19);
const SMALL_UNIT: vec2<f32> = vec2(1.8446744e19, 5.4210109e-20);

// The sums of the squares of a window's values, each times `scale`; `first` is the word of its corner.
fn squares(e: Extents, first: u32, scale: f32) -> Values {
    var sums: Values;
    for (var c = 0u; c < CHANNELS; c++) {
        sums[c] = 0.0;
    }
    for (var y = 0u; y < e.kernel.x; y++) {
        for (var x = 0u; x < e.kernel.y; x++) {
            let raw = values(first + (y * e.size.y + x) * e.inner);
            var tap = exchanged(raw, raw);
            for (var c = 0u; c < CHANNELS; c++) {
                let value = tap[c] * scale;
                sums[c] += value * value;
            }
        }
    }
    return sums;
}

fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i >= word(grid, 0u)) {
        return;
    }
    let e = extents(grid);
    let o = element(i, e.windows, e.inner / CHANNELS);
    let corner = Element(o.image, o.at * e.stride, o.channel * CHANNELS);
    let first = word(grid, 10u) + place(corner, e.size, e.inner);
    var sums = squares(e, first, 1.0);
    for (var c = 0u; c < CHANNELS; c++) {
        var norm = tslip_sqrt(sums[c]);
        // Squares that leave the range of floats: again with other units.
        if (!is_finite(norm) || norm < 1e-15) {
            let unit = select(LARGE_UNIT, SMALL_UNIT, is_finite(norm));
            var again = squares(e, first, unit.x);
            norm = tslip_sqrt(again[c]) * unit.y;
        }
        store(word(grid, 11u) + i * CHANNELS + c, norm);
    }
}
