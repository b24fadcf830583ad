// The adjoint in the image as a product: a row is a pixel of the image, a term a tap and an output channel, a column an input
// channel. STRIDED: 1 where windows lie further apart than one pixel, so that only some taps of the result reach a pixel.
struct ARow { pixel: Part, out: vec2<u32>, stride: vec2<u32>, channels: u32 }
struct ATerm { tap: Part }
struct BColumn { at: u32 }
struct BTerm { at: u32 }

fn a_row(grid: Grid, batch: u32, row: u32) -> ARow {
    let e = extents(grid);
    let y = row / e.size.y;
    let image = y / e.size.x;
    let at = vec2(y % e.size.x, row % e.size.y) + e.padding;
    let first = e.first + batch * e.of_group_out;
    if (STRIDED == 1u) {
        return ARow(Part(at, pixel(image, vec2(0u), e.out, e.channels_out) + first), e.out, e.stride, e.channels_out);
    }
    return ARow(part(image, at, e.out, e.channels_out, first), e.out, e.stride, e.channels_out);
}

// What a tap takes comes from as far before the pixel as the tap lies behind the corner of a window.
fn a_term(grid: Grid, term: u32) -> ATerm {
    let e = extents(grid);
    let tap = term / e.of_group_out;
    let offset = vec2(0u) - vec2(tap / e.kernel_width, tap % e.kernel_width) * e.dilation;
    let channel = term % e.of_group_out;
    if (STRIDED == 1u) {
        return ATerm(Part(offset, channel));
    }
    return ATerm(part(0u, offset, e.out, e.channels_out, channel));
}

fn a_value(row: ARow, term: ATerm) -> f32 {
    if (STRIDED == 0u) {
        return element(row.pixel, term.tap, row.out);
    }
    // There is none where the tap lies above or to the left of all windows, or the stride steps over it.
    let window = row.pixel.at + term.tap.at;
    let source = window / row.stride;
    if (any(window > row.pixel.at) || any(window != source * row.stride) || any(source >= row.out)) {
        return 0.0;
    }
    return load(row.pixel.word + pixel(0u, source, row.out, row.channels) + term.tap.word);
}

fn b_column(grid: Grid, batch: u32, column: u32) -> BColumn {
    let e = extents(grid);
    return BColumn(e.second + column * e.channels_out + batch * e.of_group_out);
}

fn b_term(grid: Grid, term: u32) -> BTerm {
    let e = extents(grid);
    return BTerm(term / e.of_group_out * e.of_group_in * e.channels_out + term % e.of_group_out);
}

fn b_value(column: BColumn, term: BTerm) -> f32 {
    return load(column.at + term.at);
}
