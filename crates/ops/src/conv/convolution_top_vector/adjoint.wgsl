// Which result along an axis has a tap on a position of the padded image; its extent where none has.
fn result_at(grid: Grid, axis: u32, padded: u32, tap: u32) -> u32 {
    let reach = tap * word(grid, axis + 6u);
    let stride = word(grid, axis + 5u);
    let extent = word(grid, axis + 3u);
    if (padded < reach || (padded - reach) % stride != 0u) {
        return extent;
    }
    return min((padded - reach) / stride, extent);
}

fn run(grid: Grid, local: u32) {
    let index = grid.group * WORKGROUP + local;
    if (index >= word(grid, 0u) || heap[word(grid, 4u)] != 0u) {
        return;
    }
    let height = word(grid, ROWS + 3u);
    let width = word(grid, COLUMNS + 3u);
    let x = index % word(grid, COLUMNS);
    let y = index / word(grid, COLUMNS) % word(grid, ROWS);
    let c = index / word(grid, COLUMNS) / word(grid, ROWS);
    let first = c / word(grid, 6u) * word(grid, 7u);
    var sum = 0.0;
    for (var py = 0u; py < word(grid, ROWS + 2u); py++) {
        if (pixel(grid, ROWS, py) != y) {
            continue;
        }
        for (var px = 0u; px < word(grid, COLUMNS + 2u); px++) {
            if (pixel(grid, COLUMNS, px) != x) {
                continue;
            }
            for (var ky = 0u; ky < word(grid, ROWS + 4u); ky++) {
                let oy = result_at(grid, ROWS, py, ky);
                for (var kx = 0u; kx < word(grid, COLUMNS + 4u); kx++) {
                    let ox = result_at(grid, COLUMNS, px, kx);
                    if (oy >= height || ox >= width) {
                        continue;
                    }
                    for (var o = first; o < first + word(grid, 7u); o++) {
                        let at = (o * height + oy) * width + ox;
                        sum += tap_weight(grid, o, c % word(grid, 6u), ky, kx) * load(word(grid, 1u) + at);
                    }
                }
            }
        }
    }
    store(word(grid, 2u) + index, sum);
}
