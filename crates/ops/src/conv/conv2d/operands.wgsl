// Convolution as a product: a row is a pixel of the result, a term a tap and an input channel, a column an output channel.
struct ARow { image: u32, corner: vec2<u32>, size: vec2<u32>, first: u32, channels: u32 }
struct ATerm { offset: vec2<u32>, channel: u32 }
struct BColumn { at: u32 }
struct BTerm { at: u32 }

fn a_row(job: Job, batch: u32, row: u32) -> ARow {
    let e = extents(job);
    let y = row / e.out.y;
    // Above and to the left of the image, indices wrap around to large ones.
    let corner = vec2(y % e.out.x, row % e.out.y) * e.stride - e.padding;
    return ARow(y / e.out.x, corner, e.size, e.first + batch * e.of_group_in, e.channels_in);
}

fn a_term(job: Job, term: u32) -> ATerm {
    let e = extents(job);
    let tap = term / e.of_group_in;
    return ATerm(vec2(tap / e.kernel_width, tap % e.kernel_width) * e.dilation, term % e.of_group_in);
}

fn a_value(row: ARow, term: ATerm) -> f32 {
    let at = row.corner + term.offset;
    if (any(at >= row.size)) {
        return 0.0;
    }
    return load(row.first + pixel(row.image, at, row.size, row.channels) + term.channel);
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
