// Convolution as a product: a row is a pixel of the result, a term a tap and an input channel, a column an output channel.
struct ARow { corner: Part, size: vec2<u32> }
struct ATerm { tap: Part }
struct BColumn { at: u32 }
struct BTerm { at: u32 }

fn a_row(grid: Grid, batch: u32, row: u32) -> ARow {
    let e = extents(grid);
    let y = row / e.out.y;
    // Above and to the left of the image, indices wrap around to large ones.
    let corner = vec2(y % e.out.x, row % e.out.y) * e.stride - e.padding;
    return ARow(part(y / e.out.x, corner, e.size, e.channels_in, e.first + batch * e.of_group_in), e.size);
}

fn a_term(grid: Grid, term: u32) -> ATerm {
    let e = extents(grid);
    let tap = term / e.of_group_in;
    let offset = vec2(tap / e.kernel_width, tap % e.kernel_width) * e.dilation;
    return ATerm(part(0u, offset, e.size, e.channels_in, term % e.of_group_in));
}

fn a_value(row: ARow, term: ATerm) -> f32 {
    return element(row.corner, term.tap, row.size);
}

fn b_column(grid: Grid, batch: u32, column: u32) -> BColumn {
    let e = extents(grid);
    return BColumn(e.second + batch * e.of_group_out + column);
}

fn b_term(grid: Grid, term: u32) -> BTerm {
    return BTerm(term * extents(grid).channels_out);
}

fn b_value(column: BColumn, term: BTerm) -> f32 {
    return load(column.at + term.at);
}
