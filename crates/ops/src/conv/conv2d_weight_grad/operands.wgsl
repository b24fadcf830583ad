// The adjoint in the weights as a product: a row is a tap and an input channel, a term a pixel of the result, a column an output
// channel.
struct ARow { offset: vec2<u32>, size: vec2<u32>, at: u32, channels: u32 }
struct ATerm { image: u32, corner: vec2<u32> }
struct BColumn { at: u32 }
struct BTerm { at: u32 }

fn a_row(job: Job, batch: u32, row: u32) -> ARow {
    let e = extents(job);
    let tap = row / e.of_group_in;
    let offset = vec2(tap / e.kernel_width, tap % e.kernel_width) * e.dilation;
    return ARow(offset, e.size, e.first + batch * e.of_group_in + row % e.of_group_in, e.channels_in);
}

fn a_term(job: Job, term: u32) -> ATerm {
    let e = extents(job);
    let y = term / e.out.y;
    // Above and to the left of the image, indices wrap around to large ones.
    return ATerm(y / e.out.x, vec2(y % e.out.x, term % e.out.y) * e.stride - e.padding);
}

fn a_value(row: ARow, term: ATerm) -> f32 {
    let at = term.corner + row.offset;
    if (any(at >= row.size)) {
        return 0.0;
    }
    return load(row.at + pixel(term.image, at, row.size, row.channels));
}

fn b_column(job: Job, batch: u32, column: u32) -> BColumn {
    let e = extents(job);
    return BColumn(e.second + batch * e.of_group_out + column);
}

fn b_term(job: Job, term: u32) -> BTerm {
    return BTerm(term * extents(job).channels_out);
}

fn b_value(column: BColumn, term: BTerm) -> f32 {
    return load(column.at + term.at);
}
