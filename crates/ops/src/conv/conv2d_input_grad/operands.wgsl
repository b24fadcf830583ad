// The adjoint in the image as a product: a row is a pixel of the image, a term a tap and an output channel, a column an input
// channel.
struct ARow { image: u32, at: vec2<u32>, out: vec2<u32>, stride: vec2<u32>, first: u32, channels: u32 }
struct ATerm { offset: vec2<u32>, channel: u32 }
struct BColumn { at: u32 }
struct BTerm { at: u32 }

fn a_row(job: Job, batch: u32, row: u32) -> ARow {
    let e = extents(job);
    let y = row / e.size.y;
    let at = vec2(y % e.size.x, row % e.size.y) + e.padding;
    return ARow(y / e.size.x, at, e.out, e.stride, e.first + batch * e.of_group_out, e.channels_out);
}

fn a_term(job: Job, term: u32) -> ATerm {
    let e = extents(job);
    let tap = term / e.of_group_out;
    return ATerm(vec2(tap / e.kernel_width, tap % e.kernel_width) * e.dilation, term % e.of_group_out);
}

fn a_value(row: ARow, term: ATerm) -> f32 {
    // The pixel of the result that this tap of it takes from here; there is none where the stride steps over it.
    let window = row.at - term.offset;
    let source = window / row.stride;
    if (any(row.at < term.offset) || any(window % row.stride != vec2(0u)) || any(source >= row.out)) {
        return 0.0;
    }
    return load(row.first + pixel(row.image, source, row.out, row.channels) + term.channel);
}

fn b_column(job: Job, batch: u32, column: u32) -> BColumn {
    let e = extents(job);
    return BColumn(e.second + column * e.channels_out + batch * e.of_group_out);
}

fn b_term(job: Job, term: u32) -> BTerm {
    let e = extents(job);
    return BTerm(term / e.of_group_out * e.of_group_in * e.channels_out + term % e.of_group_out);
}

fn b_value(column: BColumn, term: BTerm) -> f32 {
    return load(column.at + term.at);
}
